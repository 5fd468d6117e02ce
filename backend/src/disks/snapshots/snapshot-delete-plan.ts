import { layerFileName, overlayApiPath, overlayFile } from '../../domain/layout.js'
import type { OperationPlan } from '../../domain/plan.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { recordOf, type Actor, type NodesContext } from '../../nodes/context.js'
import { measureSpace, noSpace } from '../../storage/space.js'
import { errorOf } from '../../transactions/operation-record.js'
import { layerBytes } from '../chains.js'
import { ownDisk } from '../own-disks.js'
import { prepareDelete } from './snapshot-delete.js'
import { type Fate } from './snapshot-fates.js'
import { bytesOfSnapshot } from './snapshot-bytes.js'

/** What deleting a snapshot would do, and whether it would be refused. */
export async function planDelete(
  context: NodesContext,
  id: string,
  snapshotId: string,
  actor: Actor,
): Promise<OperationPlan> {
  const { snapshot, fates, needBytes, nodeName } = await prepareDelete(context, id, snapshotId, actor, true)
  const space = await measureSpace([{ path: context.layout.overlays, bytes: needBytes }])
  const short = space.find(({ freeUpBytes }) => freeUpBytes > 0)
  const merges = fates.some(({ kind }) => kind === 'disk' || kind === 'layer')
  return {
    kind: 'snapshot.delete',
    title: `Delete snapshot ${snapshot.name} of ${nodeName}`,
    steps: [
      ...(merges ? ['Merge its layer into the one disk that stands on it, and compare'] : []),
      'Take the snapshot from the list',
      'Move what is of no use any more to the trash',
    ],
    space,
    creates: [],
    replaces: [
      {
        type: 'snapshot',
        id: snapshot.id,
        name: snapshot.name,
        bytes: await bytesOfSnapshot(context, snapshot),
        fate: fates.every(({ kind }) => kind === 'stays') ? 'its layers stay, without a name' : 'moves to the trash',
      },
    ],
    files: await Promise.all(
      fates.map(async (fate) => ({
        path: overlayApiPath(layerFileName(fate.layerId)),
        bytes: await layerBytes(context, fate.layerId),
        fate: fateWords(context, fate),
      })),
    ),
    warnings: fates.flatMap((fate) =>
      fate.kind === 'stays' ? [`The layer ${layerFileName(fate.layerId)} stays: ${fate.why}.`] : [],
    ),
    refusal: short ? errorOf(noSpace(short, `delete the snapshot ${snapshot.name}`)) : null,
  }
}

function fateWords(context: NodesContext, fate: Fate): string {
  if (fate.kind === 'free') return 'moves to the trash'
  if (fate.kind === 'stays') return `stays, without a name: ${fate.why}`
  if (fate.kind === 'layer')
    return `is merged into ${overlayApiPath(layerFileName(fate.into))}, then moves to the trash`
  const record = recordOf(context, fate.merge.nodeId)
  const file = ownDisk(record, fate.merge.driveId)?.file ?? overlayFile(context.layout, record.id)
  const how = isAlive(context, record) ? ' while it runs' : ''
  return `is merged into ${overlayApiPath(file)} of ${record.name}${how}, then moves to the trash`
}
