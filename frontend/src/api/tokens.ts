import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { request } from './client.js'

export interface TokenRecord {
  id: string
  name: string
  createdAt: string
  lastUsedAt: string | null
}

const tokensKey = ['tokens'] as const

export function useTokens() {
  return useQuery({
    queryKey: tokensKey,
    queryFn: async ({ signal }) =>
      (await request<{ tokens: TokenRecord[] }>('GET', 'session/tokens', { signal })).tokens,
  })
}

/** Answers the token in clear, once. */
export function useCreateToken() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (name: string) =>
      request<{ token: string; record: TokenRecord }>('POST', 'session/tokens', { body: { name }, once: true }),
    onSuccess: () => client.invalidateQueries({ queryKey: tokensKey }),
  })
}

export function useRevokeToken() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => request<void>('DELETE', `session/tokens/${encodeURIComponent(id)}`),
    onSuccess: () => client.invalidateQueries({ queryKey: tokensKey }),
  })
}
