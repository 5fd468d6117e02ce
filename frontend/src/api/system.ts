import { useMutation, useQueryClient } from '@tanstack/react-query'
import { ApiError, request } from './client.js'
import { useNodes } from './nodes.js'

/** What a rebuild found. */
export interface RebuildReport {
  nodes: number
  images: number
  detached: number
  overlaysWithoutRecord: number
  unreadable: unknown[]
  movedAside: string[]
  /** Nodes whose owners have no account any more, by the login that they had. */
  ownerless: { login: string | null; nodes: number }[]
}

/** The refusal that every request gets while the server is in safe mode; undefined when it is not. */
export function useSafeMode(): ApiError | undefined {
  const { error } = useNodes()
  return error instanceof ApiError && error.code === 'safe_mode' ? error : undefined
}

export function useRebuild() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: () => request<RebuildReport>('POST', 'system/rebuild'),
    onSuccess: () => client.invalidateQueries(),
  })
}
