import type { LabSettings, UpdateSettings } from '@domain/settings.js'
import type { Orphan, SpaceReport, VerifyReport } from '@domain/storage.js'
import type { TrashView } from '@domain/trash.js'
import { queryOptions, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { ApiError, request } from './client.js'

/** Where the room on the disk is. */
export function useSpace() {
  return useQuery({
    queryKey: ['storage', 'space'],
    queryFn: async ({ signal }) => (await request<{ space: SpaceReport }>('GET', 'storage/space', { signal })).space,
  })
}

export interface Trash {
  entries: TrashView[]
  /** Null: nothing is removed by itself. */
  retentionDays: number | null
  totalBytes: number
}

export const trashQuery = queryOptions({
  queryKey: ['storage', 'trash'],
  queryFn: ({ signal }) => request<Trash>('GET', 'trash', { signal }),
})

/** What may be brought back; everybody sees what was theirs. */
export function useTrash(options: { enabled?: boolean } = {}) {
  return useQuery({
    ...trashQuery,
    enabled: options.enabled ?? true,
  })
}

export function useOrphans(options: { enabled?: boolean } = {}) {
  return useQuery({
    queryKey: ['storage', 'orphans'],
    queryFn: ({ signal }) => request<{ orphans: Orphan[]; totalBytes: number }>('GET', 'storage/orphans', { signal }),
    enabled: options.enabled ?? true,
  })
}

/** The newest look at everything, by hand or by night; null before the first. */
export function useNewestReport() {
  return useQuery({
    queryKey: ['storage', 'report'],
    queryFn: ({ signal }) => reportOr404('storage/report', signal),
  })
}

/** What one verify found; null until it has ended. */
export function useReport(operationId: string, ended: boolean) {
  return useQuery({
    queryKey: ['storage', 'report', operationId],
    queryFn: ({ signal }) => reportOr404(`storage/reports/${operationId}`, signal),
    enabled: ended,
  })
}

async function reportOr404(path: string, signal: AbortSignal): Promise<VerifyReport | null> {
  try {
    return (await request<{ report: VerifyReport | null }>('GET', path, { signal })).report
  } catch (error) {
    if (error instanceof ApiError && error.code === 'not_found') return null
    throw error
  }
}

const settingsKey = ['storage', 'settings'] as const

export function useLabSettings() {
  return useQuery({
    queryKey: settingsKey,
    queryFn: async ({ signal }) => (await request<{ settings: LabSettings }>('GET', 'settings', { signal })).settings,
  })
}

export function useUpdateLabSettings() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (change: UpdateSettings) => request<{ settings: LabSettings }>('PATCH', 'settings', { body: change }),
    onSuccess: ({ settings }) => {
      client.setQueryData(settingsKey, settings)
      void client.invalidateQueries({ queryKey: ['storage', 'trash'] }) // its dates follow the days
    },
  })
}
