import { access } from 'node:fs/promises'
import { SandlabError } from '../../domain/error.js'
import { liveLayerFile } from '../../domain/layout.js'
import { nodeRefuses, type NodeAction, type NodeRecord } from '../../domain/node.js'
import { snapshotsOf, type Snapshot } from '../../domain/snapshot.js'
import type { LabState } from '../../domain/state.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { viewNode, type NodesContext } from '../../nodes/context.js'

/** Snapshots that a student may keep of one node, besides those that a schedule makes. */
export const STUDENT_SNAPSHOTS = 10

/** Throws `not_found`, with the names that there are. */
export function snapshotOfNode(state: Readonly<LabState>, record: NodeRecord, snapshotId: string): Snapshot {
  const own = snapshotsOf(state, record.id)
  const found = own.find(({ id }) => id === snapshotId)
  if (found) return found
  throw new SandlabError('not_found', `${record.name} has no such snapshot.`, {
    hint: own.length === 0 ? 'It has none at all.' : `It has ${own.map(({ name }) => name).join(', ')}.`,
  })
}

/** Throws `name_taken`. */
export function refuseSnapshotName(
  state: Pick<Readonly<LabState>, 'snapshots'>,
  record: Pick<NodeRecord, 'id' | 'name'>,
  name: string,
  except?: string,
): void {
  if (!snapshotsOf(state, record.id).some((one) => one.name === name && one.id !== except)) return
  throw new SandlabError('name_taken', `${record.name} has a snapshot named ${name} already.`, {
    hint: 'Choose another name, or delete that snapshot first.',
  })
}

/** Throws `quota_reached` when a student's node has as many as a student may keep. */
export function refuseManySnapshots(
  context: NodesContext,
  state: Pick<Readonly<LabState>, 'snapshots'>,
  record: Pick<NodeRecord, 'id' | 'name' | 'ownerId'>,
): void {
  if (context.owners.get(record.ownerId)?.role !== 'student') return
  const kept = snapshotsOf(state, record.id).filter(({ automatic }) => automatic === null).length
  if (kept < STUDENT_SNAPSHOTS) return
  throw new SandlabError('quota_reached', `A student can keep ${STUDENT_SNAPSHOTS} snapshots of a node.`, {
    hint: `Delete a snapshot of ${record.name} first, or ask an instructor.`,
    details: { limit: STUDENT_SNAPSHOTS, kept },
  })
}

/** Throws `wrong_status`, `busy`. */
export function refuseStatus(context: NodesContext, record: NodeRecord, action: NodeAction): void {
  const refusal = nodeRefuses(action, viewNode(context, record).status)
  if (refusal !== undefined) throw new SandlabError('wrong_status', `${record.name}: ${refusal}`)
}

/** Before something is begun that would meet it only later. Throws `busy`. */
export function refuseBusy(context: NodesContext, ids: readonly string[]): void {
  for (const id of ids) {
    const action = context.locks.busy(id)
    if (action === undefined) continue
    const name = context.store.data.nodes.find((node) => node.id === id)?.name ?? 'The node'
    throw new SandlabError('busy', `${name} is busy: "${action}" is under way.`, {
      hint: 'Wait until it is done, then try again. Nothing was changed.',
      details: { action },
    })
  }
}

/** What a guest wrote last while its disk was frozen must be in its disk, and no memory may wait for it. Throws `busy`, `wrong_status`. */
export async function refuseUnsettled(context: NodesContext, record: NodeRecord): Promise<void> {
  if (isAlive(context, record)) return
  if (record.suspended) {
    throw new SandlabError('wrong_status', `${record.name} is suspended: its memory fits its disks as they are now.`, {
      hint: 'Start it, or discard its memory; then try again. Nothing was changed.',
    })
  }
  const isThere = await access(liveLayerFile(context.layout, record.id)).then(
    () => true,
    () => false,
  )
  if (!isThere) return
  throw new SandlabError('busy', `What the guest of ${record.name} wrote last is not in its disk yet.`, {
    hint: 'Start it once, or free disk space and start SandLabX again; then try again. Nothing was changed.',
  })
}
