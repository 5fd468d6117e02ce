import { ROOT_DRIVE } from '../domain/drive.js'
import type { Layer } from '../domain/layer.js'
import { snapshotUnder, type Snapshot } from '../domain/snapshot.js'
import type { LabState } from '../domain/state.js'
import type { CloneIntent } from './clone-intent.js'

/** What "snapshot first" keeps: one snapshot, or none when it was not asked for. Pure. */
export function snapshotsBefore(state: Readonly<LabState>, intent: CloneIntent, layer: Layer): Snapshot[] {
  const { source, layerName, snapshotIdToMake, actor } = intent
  if (layerName === null) return []
  return [
    {
      id: snapshotIdToMake,
      nodeId: source.id,
      name: layerName,
      note: 'Kept before it was cloned.',
      parentId: snapshotUnder(state, source.id, layer.backing)?.id ?? null,
      disks: [
        { driveId: ROOT_DRIVE, layerId: layer.id },
        ...intent.drives.flatMap((drive) => (drive.layer ? [{ driveId: drive.driveId, layerId: drive.layer.id }] : [])),
      ],
      memory: null,
      consistency: intent.sourceMoved ? 'stopped' : 'live',
      automatic: null,
      cpus: source.cpus,
      memoryMib: source.memoryMib,
      createdAt: layer.createdAt,
      actorLogin: actor.login,
      operationId: layer.operationId,
    },
  ]
}
