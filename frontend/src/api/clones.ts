import type { batchCreateSchema, cloneNodeSchema } from '@domain/node.js'
import type { Operation } from '@domain/operation.js'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { z } from 'zod'
import { request } from './client.js'
import { rememberOperation } from './operations.js'

/** What is sent: fields with a default may be left out. */
export type CloneRequest = z.input<typeof cloneNodeSchema>
export type BatchRequest = z.input<typeof batchCreateSchema>

export function useCloneNode(nodeId: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (body: CloneRequest) =>
      request<{ operation: Operation }>('POST', `nodes/${nodeId}/clone`, { body, once: true }),
    onSuccess: ({ operation }) => rememberOperation(client, operation),
  })
}

export function useCreateNodes() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (body: BatchRequest) => request<{ operation: Operation }>('POST', 'nodes/batch', { body, once: true }),
    onSuccess: ({ operation }) => rememberOperation(client, operation),
  })
}

export interface GuestPassword {
  name: string
  id: string
  /** The owner's. */
  login: string
  guestUser: string
  guestPassword: string
}

/** The server tells them once; this page keeps them until it is left, so that a slip of the hand loses nothing. */
export function useGuestPasswords(operationId: string) {
  const client = useQueryClient()
  const key = ['guest-passwords', operationId]
  return useMutation({
    mutationFn: async () => {
      const known = client.getQueryData<GuestPassword[]>(key)
      if (known) return known
      return client.fetchQuery({
        queryKey: key,
        queryFn: async () =>
          (await request<{ passwords: GuestPassword[] }>('GET', `operations/${operationId}/passwords`)).passwords,
        gcTime: Infinity,
        retry: false,
      })
    },
  })
}
