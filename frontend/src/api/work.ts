import type { Operation } from '@domain/operation.js'
import { type QueryClient, useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from './client.js'
import { operationsQuery, rememberOperation } from './operations.js'
import type { Asked } from './plans.js'

/** Long work answers with its operation; short work is done when it answers. */
export type WorkAnswer = { operation?: Operation } | undefined

const workKey = ['work'] as const

/** Whether this page is just deleting the node: its page is then left anyway. */
export function isDeleting(client: QueryClient, nodeId: string): boolean {
  const predicate = ({ state }: { state: { variables?: unknown } }) => {
    const asked = state.variables as Asked | undefined // useWork's own
    return asked?.method === 'DELETE' && asked.path.split('?')[0] === `nodes/${nodeId}`
  }
  return client.isMutating({ mutationKey: workKey, predicate }) > 0
}

/** Does what was planned: the same method, path and body as its plan was asked with, without `dryRun`. */
export function useWork() {
  const client = useQueryClient()
  return useMutation({
    mutationKey: workKey,
    mutationFn: ({ method, path, body }: Asked) =>
      request<WorkAnswer>(method, path, { ...(body === undefined ? {} : { body }), once: method === 'POST' }),
    onSuccess: (answer) => {
      if (answer?.operation) rememberOperation(client, answer.operation)
      askAgain(client, answer)
    },
  })
}

/** What changed is asked for again at once; with live updates the end of an operation does it once more. */
function askAgain(client: QueryClient, answer: WorkAnswer): void {
  void client.invalidateQueries({ queryKey: ['storage'] })
  void client.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] === 'nodes' && queryKey.length > 2 })
  if (!answer?.operation) void client.invalidateQueries({ queryKey: operationsQuery.queryKey, exact: true })
}
