import type { NodeRecord } from '../../domain/node.js'
import type { Operation } from '../../domain/operation.js'
import type { OperationPlan } from '../../domain/plan.js'
import type {
  CreateSnapshot,
  RestoreSnapshot,
  SnapshotSchedule,
  SnapshotView,
  UpdateSnapshot,
} from '../../domain/snapshot.js'
import type { Actor, NodesContext } from '../../nodes/context.js'
import type { Schedule } from '../schedule.js'
import { createAutomaticSnapshots } from './snapshot-automatic.js'
import { createSnapshot } from './snapshot-create.js'
import { deleteSnapshot } from './snapshot-delete.js'
import { planDelete } from './snapshot-delete-plan.js'
import { exportSnapshot, type Export } from './snapshot-export.js'
import { planSnapshot } from './snapshot-prepare.js'
import { restoreSnapshot } from './snapshot-restore.js'
import { planRestore } from './snapshot-restore-plan.js'
import { setSchedule, updateSnapshot } from './snapshot-update.js'
import { viewSnapshots } from './snapshot-view.js'

/** A snapshot of a node, by their ids. */
export interface Which {
  id: string
  snapshotId: string
}

/** What people do with snapshots. Each throws SandlabError; what begins an operation is back as soon as it has begun. */
export interface Snapshots {
  /** Newest first. */
  list(id: string): Promise<SnapshotView[]>
  create(id: string, request: CreateSnapshot, actor: Actor): Promise<Operation>
  planCreate(id: string, request: CreateSnapshot, actor: Actor): Promise<OperationPlan>
  update(which: Which, request: UpdateSnapshot): Promise<SnapshotView>
  restore(which: Which, request: RestoreSnapshot, actor: Actor): Promise<Operation>
  planRestore(which: Which, request: RestoreSnapshot, actor: Actor): Promise<OperationPlan>
  delete(which: Which, actor: Actor): Promise<Operation>
  planDelete(which: Which, actor: Actor): Promise<OperationPlan>
  /** One disk as a file that needs no other. `signal`: nobody wants it any more. */
  export(which: Which, driveId: string, actor: Actor, signal: AbortSignal): Promise<Export>
  setSchedule(id: string, schedule: SnapshotSchedule | null, actor: Actor): Promise<NodeRecord>
}

/** Each node is asked as often; what is due is taken then. */
const LOOK_EVERY_MINUTES = 5
export const AUTOMATIC_SNAPSHOTS = 'automatic snapshots'

export function createSnapshots(context: NodesContext, schedule: Schedule): Snapshots {
  const automatic = createAutomaticSnapshots(context)
  schedule.every(AUTOMATIC_SNAPSHOTS, { minutes: LOOK_EVERY_MINUTES }, (signal) => automatic.round(signal))
  return {
    list: (id) => viewSnapshots(context, id),
    create: async (id, request, actor) => (await createSnapshot(context, id, request, actor)).operation,
    planCreate: (id, request, actor) => planSnapshot(context, id, request, actor),
    update: ({ id, snapshotId }, request) => updateSnapshot(context, id, snapshotId, request),
    restore: async ({ id, snapshotId }, request, actor) =>
      (await restoreSnapshot(context, id, snapshotId, request, actor)).operation,
    planRestore: ({ id, snapshotId }, request, actor) => planRestore(context, id, snapshotId, request, actor),
    delete: async ({ id, snapshotId }, actor) => (await deleteSnapshot(context, id, snapshotId, actor)).operation,
    planDelete: ({ id, snapshotId }, actor) => planDelete(context, id, snapshotId, actor),
    export: ({ id, snapshotId }, driveId, actor, signal) =>
      exportSnapshot(context, id, snapshotId, driveId, actor, signal),
    setSchedule: (id, schedule, actor) => setSchedule(context, id, schedule, actor),
  }
}
