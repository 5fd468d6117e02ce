import type { NodeRecord } from '../../domain/node.js'
import { snapshotsOf, snapshotUnder, type Snapshot, type SnapshotView } from '../../domain/snapshot.js'
import { recordOf, type NodesContext } from '../../nodes/context.js'
import { layersUnder } from '../../nodes/unused-layers.js'
import { ownDisks } from '../own-disks.js'
import { bytesOfSnapshot } from './snapshot-bytes.js'

/** A node's snapshots as the API answers them, newest first. */
export async function viewSnapshots(context: NodesContext, id: string): Promise<SnapshotView[]> {
  const record = recordOf(context, id)
  const own = snapshotsOf(context.store.data, record.id).toReversed()
  return Promise.all(own.map((snapshot) => viewSnapshot(context, record, snapshot)))
}

export async function viewSnapshot(
  context: NodesContext,
  record: NodeRecord,
  snapshot: Snapshot,
): Promise<SnapshotView> {
  const { data } = context.store
  const layers = new Set<string>(snapshot.disks.map(({ layerId }) => layerId))
  const standing = data.nodes.filter(
    (node) => node.id !== record.id && layersUnder(data, [node]).some((id) => layers.has(id)),
  )
  const current = ownDisks(record).some(({ backing }) => snapshotUnder(data, record.id, backing)?.id === snapshot.id)
  return {
    ...snapshot,
    usedBytes: await bytesOfSnapshot(context, snapshot),
    current,
    usedBy: standing.map(({ id, name }) => ({ id, name })),
  }
}
