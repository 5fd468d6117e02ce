import type { AuditEntry } from '@domain/event.js'
import { useInfiniteQuery } from '@tanstack/react-query'
import { request } from './client.js'

export interface AuditFilter {
  actor?: string | undefined
  action?: string | undefined
  object?: string | undefined
}

const PAGE_SIZE = 50

interface AuditPage {
  entries: AuditEntry[]
  /** Pass as `before` to read on; null at the end. */
  next: string | null
}

export function useAudit(filter: AuditFilter) {
  return useInfiniteQuery({
    queryKey: ['audit', filter],
    initialPageParam: null as string | null,
    queryFn: ({ pageParam, signal }) =>
      request<AuditPage>('GET', `audit?${auditSearch(filter, pageParam)}`, { signal }),
    getNextPageParam: (page) => page.next,
  })
}

function auditSearch(filter: AuditFilter, before: string | null): string {
  const search = new URLSearchParams({ limit: String(PAGE_SIZE) })
  if (before) search.set('before', before)
  for (const [name, value] of Object.entries(filter)) if (value) search.set(name, value)
  return search.toString()
}
