import type { User } from '@domain/user.js'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { ApiError, request } from './client.js'

export const sessionKey = ['session'] as const

/** Who is signed in; null when nobody is. */
export function useSession() {
  return useQuery({
    queryKey: sessionKey,
    queryFn: async ({ signal }): Promise<User | null> => {
      try {
        return (await request<{ user: User }>('GET', 'session', { signal })).user
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) return null
        throw error
      }
    },
    staleTime: 60_000,
  })
}

export function useSignIn() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (credentials: { login: string; password: string }) =>
      request<{ user: User }>('POST', 'session', { body: credentials }),
    onSuccess: ({ user }) => {
      client.setQueryData(sessionKey, user)
    },
  })
}

export function useSignOut() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: () => request<void>('DELETE', 'session'),
    onSuccess: () => {
      client.setQueryData(sessionKey, null)
      client.removeQueries({ predicate: (query) => query.queryKey[0] !== sessionKey[0] })
    },
  })
}

export function useChangePassword() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (passwords: { currentPassword: string; newPassword: string }) =>
      request<{ user: User }>('PUT', 'session/password', { body: passwords }),
    onSuccess: ({ user }) => {
      client.setQueryData(sessionKey, user)
    },
  })
}
