import type { Operation } from '@domain/operation.js'
import type { TestBootReport, testBootSchema } from '@domain/test-boot.js'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { z } from 'zod'
import { request } from './client.js'
import { rememberOperation } from './operations.js'

/** What is sent: fields with a default may be left out. */
export type TestBootRequest = z.input<typeof testBootSchema>

export function useTestBoot() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (body: TestBootRequest) =>
      request<{ operation: Operation }>('POST', 'test-boots', { body, once: true }),
    onSuccess: ({ operation }) => rememberOperation(client, operation),
  })
}

/** How a test boot went; asked for once it has ended. */
export function useTestBootReport(operationId: string, ended: boolean) {
  return useQuery({
    queryKey: ['test-boots', operationId],
    queryFn: async ({ signal }) =>
      (await request<{ report: TestBootReport }>('GET', `test-boots/${operationId}`, { signal })).report,
    enabled: ended,
    staleTime: Infinity,
  })
}

/** Below `/api`. */
export const testBootScreenPath = (operationId: string) => `test-boots/${operationId}/screenshot`
