import type { Operation } from '@domain/operation.js'
import { type QueryClient, queryOptions, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { notePace } from '../util/pace-store.js'
import { request } from './client.js'

/** How many the server answers unless told, and how many it keeps at least. */
export const LISTED = 200
const KEPT = 1000

export const operationsQuery = queryOptions({
  queryKey: ['operations'],
  queryFn: async ({ signal }) =>
    (await request<{ operations: Operation[] }>('GET', 'operations', { signal })).operations,
})

/** Newest first. Kept by the server, so that a reload shows the same. */
export function useOperations() {
  return useQuery({
    ...operationsQuery,
    select: (operations) => operations.toSorted((a, b) => b.startedAt.localeCompare(a.startedAt)),
  })
}

/** What the list leaves out, as long as the server keeps it. */
export function useOlderOperations(enabled: boolean) {
  return useQuery({
    queryKey: ['operations', 'older'],
    queryFn: async ({ signal }) =>
      (await request<{ operations: Operation[] }>('GET', `operations?limit=${KEPT}`, { signal })).operations,
    enabled,
  })
}

const operationKey = (id: string) => ['operations', id] as const

/** One operation; shows at once what the list already knows. */
export function useOperation(id: string) {
  const client = useQueryClient()
  return useQuery({
    queryKey: operationKey(id),
    queryFn: async ({ signal }) =>
      (await request<{ operation: Operation }>('GET', `operations/${id}`, { signal })).operation,
    initialData: () => client.getQueryData(operationsQuery.queryKey)?.find((operation) => operation.id === id),
    initialDataUpdatedAt: () => client.getQueryState(operationsQuery.queryKey)?.dataUpdatedAt,
  })
}

export function rememberOperation(client: QueryClient, operation: Operation): void {
  notePace(operation)
  client.setQueryData<Operation>(operationKey(operation.id), (known) => known && operation) // only where it is shown
  client.setQueryData(operationsQuery.queryKey, (operations) => {
    if (!operations) return operations
    return operations.some((one) => one.id === operation.id)
      ? operations.map((one) => (one.id === operation.id ? operation : one))
      : [operation, ...operations]
  })
}

export function useCancelOperation() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => request<{ operation: Operation }>('POST', `operations/${id}/cancel`),
    onSuccess: ({ operation }) => rememberOperation(client, operation),
  })
}
