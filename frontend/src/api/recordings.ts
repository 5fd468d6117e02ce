import type { Recording } from '@domain/recording.js'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { apiUrl, request, requestPicture, requestText } from './client.js'

const LOOK_AGAIN_MS = 15_000

/** Newest first. */
export function useNodeRecordings(nodeId: string) {
  return useQuery({
    queryKey: ['recordings', 'of', nodeId],
    queryFn: async ({ signal }) =>
      (await request<{ recordings: Recording[] }>('GET', `nodes/${nodeId}/recordings`, { signal })).recordings,
    refetchInterval: LOOK_AGAIN_MS,
  })
}

export function useRecording(id: string) {
  return useQuery({
    queryKey: ['recordings', id],
    queryFn: async ({ signal }) =>
      (await request<{ recording: Recording }>('GET', `recordings/${id}`, { signal })).recording,
  })
}

export const recordingDataUrl = (id: string) => apiUrl(`recordings/${id}/data`)

/** Each fetch leaves a line in the audit: so once for each time that the page is opened, and never by itself again. */
const ONCE = { staleTime: Number.POSITIVE_INFINITY, gcTime: 0, refetchOnWindowFocus: false, retry: false } as const

export function useRecordedText(id: string) {
  return useQuery({
    queryKey: ['recordings', id, 'text'],
    queryFn: ({ signal }) => requestText(`recordings/${id}/data`, signal),
    ...ONCE,
  })
}

export function useRecordedScreen(id: string) {
  return useQuery({
    queryKey: ['recordings', id, 'screen'],
    queryFn: ({ signal }) => requestPicture(`recordings/${id}/data`, signal),
    ...ONCE,
  })
}

export function useDeleteRecording() {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (id: string) => request<void>('DELETE', `recordings/${id}`),
    onSuccess: () => client.invalidateQueries({ queryKey: ['recordings', 'of'] }),
  })
}
