import type { ConsoleVisit } from '@domain/console-history.js'
import { useInfiniteQuery } from '@tanstack/react-query'
import { request } from './client.js'

interface VisitsPage {
  visits: ConsoleVisit[]
  /** Pass as `before` to read on; null at the end. */
  next: string | null
}

const PAGE_SIZE = 25
/** Nobody tells the page when a console opens. */
const LOOK_AGAIN_MS = 15_000

export function useConsoleHistory(nodeId: string) {
  return useInfiniteQuery({
    queryKey: ['console-history', nodeId],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam, signal }) => {
      const search = new URLSearchParams({ limit: String(PAGE_SIZE), ...(pageParam ? { before: pageParam } : {}) })
      return request<VisitsPage>('GET', `nodes/${nodeId}/console-history?${search.toString()}`, { signal })
    },
    getNextPageParam: (page) => page.next,
    refetchInterval: LOOK_AGAIN_MS,
  })
}
