import type { OperationPlan } from '@domain/plan.js'
import { useDebouncedValue } from '@mantine/hooks'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { request } from './client.js'

const PAUSE_MS = 350

export interface Asked {
  method: 'POST' | 'PATCH' | 'DELETE'
  /** Below `/api`, with its query if it has one. */
  path: string
  body?: unknown
}

/**
 * What a request would do, asked with `dryRun` a moment after it last changed; null asks nothing. Meanwhile the plan
 * before it stays. `fresh`: the plan is of what is asked now.
 */
export function usePlan(asked: Asked | null) {
  const now = JSON.stringify(asked)
  const [settled] = useDebouncedValue(now, PAUSE_MS)
  const query = useQuery({
    queryKey: ['plan', settled],
    queryFn: async ({ signal }) => {
      const { method, path, body } = JSON.parse(settled) as Asked // written above
      const dry = `${path}${path.includes('?') ? '&' : '?'}dryRun=true`
      return (await request<{ plan: OperationPlan }>(method, dry, { body, signal })).plan
    },
    enabled: settled !== 'null',
    placeholderData: keepPreviousData,
    staleTime: 0,
    gcTime: 10_000,
    retry: false,
  })
  const fresh = asked === null || (now === settled && !query.isFetching && !query.isPlaceholderData)
  return { plan: asked ? query.data : undefined, error: asked ? query.error : null, fresh }
}
