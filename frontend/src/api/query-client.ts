import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query'
import { ApiError } from './client.js'
import { sessionKey } from './session.js'

const SIGNED_OUT: ReadonlySet<string> = new Set(['not_signed_in', 'account_disabled'])

/** The cache of everything the server said. A lost session shows the sign-in page from wherever it is noticed. */
export function createQueryClient(): QueryClient {
  const watch = (error: unknown) => {
    if (!(error instanceof ApiError)) return
    if (SIGNED_OUT.has(error.code)) client.setQueryData(sessionKey, null)
    if (error.code === 'password_change_required') void client.invalidateQueries({ queryKey: sessionKey })
  }
  const client = new QueryClient({
    queryCache: new QueryCache({ onError: watch }),
    mutationCache: new MutationCache({ onError: watch }),
    defaultOptions: {
      queries: {
        staleTime: 20_000, // live events keep lists fresh; this covers what has no events
        retry: (failures, error) => failures < attempts(error),
        retryDelay: (failures) => Math.min(1000 * 2 ** failures, 4000),
        networkMode: 'always', // a lab server often lives on a machine without the internet
      },
      mutations: { networkMode: 'always', retry: false },
    },
  })
  return client
}

/** A server that is starting is waited for; one that said no is not asked again. */
function attempts(error: unknown): number {
  if (!(error instanceof ApiError)) return 1
  if (error.code === 'starting_up') return 30
  return error.status === 0 ? 2 : 0
}
