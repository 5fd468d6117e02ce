import type { CreateUser, UpdateUser, User } from '@domain/user.js'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { request } from './client.js'

export const usersKey = ['users'] as const

export function useUsers(options: { enabled?: boolean } = {}) {
  return useQuery({
    queryKey: usersKey,
    queryFn: async ({ signal }) => (await request<{ users: User[] }>('GET', 'users', { signal })).users,
    enabled: options.enabled ?? true,
  })
}

/** `password` is the generated one, answered once; null when the caller chose it. */
export function useCreateUser() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (user: Partial<CreateUser> & Pick<CreateUser, 'login'>) =>
      request<{ user: User; password: string | null }>('POST', 'users', { body: user, once: true }),
    onSuccess: () => client.invalidateQueries({ queryKey: usersKey }),
  })
}

export function useUpdateUser() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ id, change }: { id: string; change: UpdateUser }) =>
      request<{ user: User }>('PATCH', `users/${id}`, { body: change }),
    onSuccess: ({ user }) => {
      client.setQueryData<User[]>(usersKey, (users) => users?.map((one) => (one.id === user.id ? user : one)))
    },
  })
}

export function useResetPassword() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (id: string) =>
      request<{ user: User; password: string }>('POST', `users/${id}/reset-password`, { once: true }),
    onSuccess: () => client.invalidateQueries({ queryKey: usersKey }),
  })
}
