import type { NodeId } from '../../domain/ids.js'
import { nodeAllows, type NodeRecord } from '../../domain/node.js'
import { createSnapshotSchema, keptBySnapshots, snapshotsOf, type SnapshotSchedule } from '../../domain/snapshot.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { saveRecord, viewNode, type Actor, type NodesContext } from '../../nodes/context.js'
import { isUntouched } from '../../storage/layers.js'
import { diskPath, ownDisks } from '../own-disks.js'
import { createSnapshot } from './snapshot-create.js'
import { deleteSnapshot } from './snapshot-delete.js'
import { automaticName, dueNow, expiredNow } from './snapshot-due.js'

/** Who takes them, in histories. */
const SCHEDULE: Actor = { id: null, login: 'schedule' }
/** After a failure, before it is tried again: its node's history is for people. */
const RETRY_MS = 60 * 60 * 1000

export interface AutomaticSnapshots {
  /** Takes what is due and removes what is too old, one node after the other. Never throws: failures are told. */
  round(signal: AbortSignal): Promise<void>
}

export function createAutomaticSnapshots(context: NodesContext): AutomaticSnapshots {
  const failedAt = new Map<NodeId, number>()

  async function visit({ id }: NodeRecord): Promise<void> {
    const record = context.store.data.nodes.find((node) => node.id === id)
    if (!record || context.locks.busy(id) !== undefined) return
    const now = context.now()
    const failed = failedAt.get(id)
    // A clock that was set back must not put it off for ever.
    if (failed !== undefined && now.getTime() >= failed && now.getTime() - failed < RETRY_MS) return
    failedAt.delete(id)
    try {
      const schedule = scheduleOf(context, record)
      await takeDue(context, record, schedule, now)
      await removeExpired(context, record, schedule, now)
    } catch (error) {
      failedAt.set(id, now.getTime())
      context.log.warn({ err: error, nodeId: id }, 'an automatic snapshot failed')
      const text = `Its automatic snapshot failed: ${error instanceof Error ? error.message : String(error)}`
      await saveRecord(context, id, () => {}, { kind: 'warning', text: text.slice(0, 2000), actorLogin: null }).catch(
        (failure: unknown) => context.log.warn({ err: failure, nodeId: id }, 'that could not be recorded'),
      )
    }
  }

  return {
    async round(signal) {
      for (const record of context.store.data.nodes) {
        if (signal.aborted) return
        await visit(record)
      }
    },
  }
}

/** The node's own, or the lab's. */
export function scheduleOf({ store }: Pick<NodesContext, 'store'>, record: NodeRecord): SnapshotSchedule {
  return record.snapshotSchedule ?? store.data.settings[0]?.snapshotSchedule ?? { hourly: 0, daily: 0, weekly: 0 }
}

async function takeDue(
  context: NodesContext,
  record: NodeRecord,
  schedule: SnapshotSchedule,
  now: Date,
): Promise<void> {
  const own = snapshotsOf(context.store.data, record.id)
  const period = dueNow(schedule, own, now)
  if (!period || !nodeAllows('snapshot', viewNode(context, record).status)) return
  if (!(await hasChanged(context, record))) return
  const name = automaticName(period, now, new Set(own.map((snapshot) => snapshot.name)))
  const request = createSnapshotSchema.parse({ name, note: 'Taken by the schedule.' })
  await (
    await createSnapshot(context, record.id, request, SCHEDULE, period)
  ).result
}

async function removeExpired(
  context: NodesContext,
  { id }: NodeRecord,
  schedule: SnapshotSchedule,
  now: Date,
): Promise<void> {
  for (const snapshot of expiredNow(schedule, snapshotsOf(context.store.data, id), now)) {
    await (
      await deleteSnapshot(context, id, snapshot.id, SCHEDULE, { trash: false })
    ).result
  }
}

/** It runs, or something is on its disks that none of its snapshots has. */
async function hasChanged(context: NodesContext, record: NodeRecord): Promise<boolean> {
  if (isAlive(context, record)) return true
  const { data } = context.store
  const kept = new Set<string>(keptBySnapshots(snapshotsOf(data, record.id)))
  for (const disk of ownDisks(record)) {
    if (disk.backing.kind === 'layer' && !kept.has(disk.backing.layerId)) return true
    if (!(await isUntouched(diskPath(context.layout, disk)).catch(() => true))) return true
  }
  return false
}
