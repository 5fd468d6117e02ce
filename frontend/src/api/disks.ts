import type { DriveView } from '@domain/drive.js'
import type { NodeView } from '@domain/node.js'
import type { SnapshotSchedule, SnapshotView, UpdateSnapshot } from '@domain/snapshot.js'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { request } from './client.js'
import { rememberNode } from './nodes.js'

const snapshotsKey = (nodeId: string) => ['nodes', nodeId, 'snapshots'] as const

/** Newest first. */
export function useSnapshots(nodeId: string) {
  return useQuery({
    queryKey: snapshotsKey(nodeId),
    queryFn: async ({ signal }) =>
      (await request<{ snapshots: SnapshotView[] }>('GET', `nodes/${nodeId}/snapshots`, { signal })).snapshots,
  })
}

export function useUpdateSnapshot(nodeId: string, snapshotId: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (change: UpdateSnapshot) =>
      request<{ snapshot: SnapshotView }>('PATCH', `nodes/${nodeId}/snapshots/${snapshotId}`, { body: change }),
    onSuccess: () => client.invalidateQueries({ queryKey: snapshotsKey(nodeId) }),
  })
}

export function useSetSchedule(nodeId: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: (schedule: SnapshotSchedule | null) =>
      request<{ node: NodeView }>('PUT', `nodes/${nodeId}/snapshot-schedule`, { body: { schedule } }),
    onSuccess: ({ node }) => rememberNode(client, node),
  })
}

/** The root disk is the first. */
export function useDrives(nodeId: string) {
  return useQuery({
    queryKey: ['nodes', nodeId, 'drives'],
    queryFn: async ({ signal }) =>
      (await request<{ drives: DriveView[] }>('GET', `nodes/${nodeId}/drives`, { signal })).drives,
  })
}
