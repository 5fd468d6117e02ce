import { isSandlabError, type SandlabError } from '../../domain/error.js'
import { overlayApiPath } from '../../domain/layout.js'
import type { OperationPlan } from '../../domain/plan.js'
import type { RestoreSnapshot } from '../../domain/snapshot.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { recordOf, type Actor, type NodesContext } from '../../nodes/context.js'
import { usedBytes } from '../../storage/overlays.js'
import { measureSpace, noSpace } from '../../storage/space.js'
import { errorOf } from '../../transactions/operation-record.js'
import { requireWholeChain } from '../chains.js'
import { diskPath } from '../own-disks.js'
import { prepareRestore, titleOf, whatOf, type RestoreIntent } from './snapshot-restore.js'
import { snapshotOfNode } from './snapshot-rules.js'

/** What a restore would do, and whether it would be refused. Throws `not_found`. */
export async function planRestore(
  context: NodesContext,
  id: string,
  snapshotId: string,
  request: RestoreSnapshot,
  actor: Actor,
): Promise<OperationPlan> {
  const record = recordOf(context, id)
  const snapshot = snapshotOfNode(context.store.data, record, snapshotId)
  const title = titleOf({ record, snapshot })
  const empty = { kind: 'snapshot.restore' as const, title, creates: [], replaces: [] }
  let intent: RestoreIntent
  try {
    intent = prepareRestore(context, record, snapshotId, request, actor)
    for (const { layerId } of intent.disks) {
      await requireWholeChain(context, { imageId: record.imageId, backing: { kind: 'layer', layerId } })
    }
  } catch (error) {
    if (!isSandlabError(error)) throw error
    return { ...empty, steps: [], space: [], files: [], warnings: [], refusal: errorOf(error) }
  }
  const space = await measureSpace([{ path: context.layout.overlays, bytes: intent.needBytes }])
  const short = space.find(({ freeUpBytes }) => freeUpBytes > 0)
  const refusal: SandlabError | null = short ? noSpace(short, whatOf(intent)) : null
  const alive = isAlive(context, record)
  const files = intent.disks.map(async ({ file }) => ({
    path: overlayApiPath(file),
    bytes: (await usedBytes(diskPath(context.layout, { file }))) ?? 0,
    fate: 'moves to the trash; an empty disk over the snapshot takes its name',
  }))
  return {
    ...empty,
    steps: [
      ...(alive ? [request.now ? 'Switch the node off' : 'Ask the guest to shut down, and wait'] : []),
      'Make empty disks over the snapshot',
      'Move the present disks to the trash',
      ...(intent.resume ? ["Start it from the snapshot's memory, at the same screen"] : []),
      ...(!intent.resume && intent.start ? ['Start it again'] : []),
    ],
    space,
    files: await Promise.all(files),
    warnings: [
      `What was written since ${snapshot.createdAt.slice(0, 16).replace('T', ' ')} UTC is no longer on its disks; it is in the trash.`,
      ...(alive ? ['The node runs: it is stopped first.'] : []),
      ...intent.leftOut.map((drive) => `The node has no drive ${drive} any more: it is left out.`),
    ],
    refusal: refusal && errorOf(refusal),
  }
}
