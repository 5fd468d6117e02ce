import { SandlabError } from '../../domain/error.js'
import type { NodeRecord } from '../../domain/node.js'
import { type SnapshotSchedule, type SnapshotView, type UpdateSnapshot } from '../../domain/snapshot.js'
import { recordOf, saveRecord, type Actor, type NodesContext } from '../../nodes/context.js'
import { writeLayerRecords } from '../chains.js'
import { refuseSnapshotName, snapshotOfNode, STUDENT_SNAPSHOTS } from './snapshot-rules.js'
import { viewSnapshot } from './snapshot-view.js'

/** Its name and note; its disks are not touched. Throws `not_found`, `name_taken`. */
export async function updateSnapshot(
  context: NodesContext,
  id: string,
  snapshotId: string,
  { name, note }: UpdateSnapshot,
): Promise<SnapshotView> {
  const record = recordOf(context, id)
  await context.store.change((draft) => {
    const snapshot = snapshotOfNode(draft, record, snapshotId)
    if (name !== undefined) refuseSnapshotName(draft, record, name, snapshot.id)
    if (name !== undefined) snapshot.name = name
    if (note !== undefined) snapshot.note = note
  })
  const changed = snapshotOfNode(context.store.data, record, snapshotId)
  await writeLayerRecords(
    context,
    changed.disks.map(({ layerId }) => layerId),
  )
  return viewSnapshot(context, record, changed)
}

/** When snapshots are taken by themselves; null: as the lab's settings say. Throws `not_found`, `quota_reached`. */
export async function setSchedule(
  context: NodesContext,
  id: string,
  schedule: SnapshotSchedule | null,
  actor: Actor,
): Promise<NodeRecord> {
  const record = recordOf(context, id)
  const kept = schedule ? schedule.hourly + schedule.daily + schedule.weekly : 0
  if (context.owners.get(record.ownerId)?.role === 'student' && kept > STUDENT_SNAPSHOTS) {
    throw new SandlabError(
      'quota_reached',
      `A schedule of a student's node can keep ${STUDENT_SNAPSHOTS} snapshots, not ${kept}.`,
      {
        hint: 'Keep fewer of each, or ask an instructor.',
        details: { limit: STUDENT_SNAPSHOTS, kept },
      },
    )
  }
  const { hourly = 0, daily = 0, weekly = 0 } = schedule ?? {}
  const text =
    schedule === null
      ? "Automatic snapshots: as the lab's settings say."
      : `Automatic snapshots: ${hourly} hourly, ${daily} daily, ${weekly} weekly are kept.`
  return saveRecord(
    context,
    record.id,
    (draft) => {
      draft.snapshotSchedule = schedule
    },
    { kind: 'changed', text, actorLogin: actor.login },
  )
}
