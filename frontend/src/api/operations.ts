import type { Operation } from '@domain/operation.js'
import { type QueryClient, queryOptions, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { notePace } from '../util/pace-store.js'
import { request } from './client.js'

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

export function rememberOperation(client: QueryClient, operation: Operation): void {
  notePace(operation)
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
