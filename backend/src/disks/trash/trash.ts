import { isSandlabError, SandlabError } from '../../domain/error.js'
import type { Operation } from '../../domain/operation.js'
import type { OperationPlan } from '../../domain/plan.js'
import type { TrashEntry, TrashView } from '../../domain/trash.js'
import type { Actor, NodesContext } from '../../nodes/context.js'
import { listTrash, readEntry, trashFiles } from '../../storage/trash-store.js'
import { errorOf } from '../../transactions/operation-record.js'
import { prepareRestore } from './restore-prepare.js'
import type { RestoreItem } from './restore-intent.js'
import type { Schedule } from '../schedule.js'
import { beginPurge, planPurge, purgedAt, purgeDue, purgeOne, refuseUnderWay } from './trash-purge.js'
import { beginRestore } from './trash-restore.js'
import { planUndo, refuseUndo, undoTitle } from './undo.js'

/** Minutes between two looks for what has been kept long enough. */
const PURGE_EVERY = 5

/** What was removed and can be brought back. Who may see which entry is decided by whoever asks. */
export interface Trash {
  /** Newest first. */
  list(): Promise<TrashEntry[]>
  /** Throws `not_found`. */
  entry(id: string): Promise<TrashEntry>
  view(entry: TrashEntry, actor: Actor): Promise<TrashView>
  /** Back as soon as it has begun. `name`: instead of its former one. */
  restore(entry: TrashEntry, actor: Actor, name?: string): Promise<Operation>
  planRestore(entry: TrashEntry, actor: Actor, name?: string): Promise<OperationPlan>
  purge(entry: TrashEntry): Promise<void>
  /** Back as soon as it has begun. */
  purgeMany(entries: readonly TrashEntry[], actor: Actor): Operation
  planPurge(entries: readonly TrashEntry[]): Promise<OperationPlan>
  /** What an operation moved to the trash. Throws `wrong_status` while it runs, `not_found` when there is nothing (left). */
  movedBy(operation: Operation): Promise<TrashEntry[]>
  /** Brings back all that an operation moved to the trash, or nothing. Back as soon as it has begun. */
  undo(operation: Operation, entries: readonly TrashEntry[], actor: Actor): Promise<Operation>
  planUndo(operation: Operation, entries: readonly TrashEntry[], actor: Actor): Promise<OperationPlan>
}

export function createTrash(context: NodesContext, schedule: Schedule): Trash {
  const { layout, transactions } = context
  schedule.every('trash', { minutes: PURGE_EVERY }, (signal) => purgeDue(context, context.now(), signal))
  const at = () => context.now().toISOString()
  return {
    list: () => listTrash(layout),
    async entry(id) {
      const entry = await readEntry(layout, id)
      if (entry) return entry
      throw new SandlabError('not_found', `There is no ${id} in the trash.`)
    },
    view: (entry, actor) => viewOf(context, entry, actor),
    async restore(entry, actor, name) {
      const earlier = transactions.earlier(actor)
      if (earlier) return earlier.operation
      refuseUnderWay(context, entry)
      const title = `Bring back ${entry.title}`
      return beginRestore(context, [entry], {
        actor,
        name,
        title,
        words: `Brought back from the trash: ${entry.title}.`,
      })
    },
    async planRestore(entry, actor, name) {
      const { items, refusal } = await look(context, [entry], actor, at(), name)
      return planOf(context, [entry], items, refusal, `Bring back ${entry.title}`)
    },
    purge: (entry) => purgeOne(context, entry),
    purgeMany: (entries, actor) => beginPurge(context, entries, actor),
    planPurge: async (entries) => planPurge(context, entries, await listTrash(layout)),
    async movedBy(operation) {
      const all = await listTrash(layout)
      const entries = all.filter(({ operationId }) => operationId === operation.id)
      refuseUndo(operation, entries)
      return entries
    },
    async undo(operation, entries, actor) {
      const earlier = transactions.earlier(actor)
      if (earlier) return earlier.operation
      const title = undoTitle(operation)
      return beginRestore(context, entries, { actor, title, words: `${title}.` })
    },
    async planUndo(operation, entries, actor) {
      const { items, refusal } = await look(context, entries, actor, at())
      return planUndo(await planOf(context, entries, items, refusal, undoTitle(operation)))
    },
  }
}

async function look(
  context: NodesContext,
  entries: readonly TrashEntry[],
  actor: Actor,
  at: string,
  name?: string,
): Promise<{ items: RestoreItem[]; refusal: SandlabError | null }> {
  try {
    for (const entry of entries) refuseUnderWay(context, entry)
    return { items: await prepareRestore(context, entries, { actor, at, name }), refusal: null }
  } catch (error) {
    if (isSandlabError(error)) return { items: [], refusal: error }
    throw error
  }
}

async function viewOf(context: NodesContext, entry: TrashEntry, actor: Actor): Promise<TrashView> {
  const files = await trashFiles(context.layout, entry)
  const { refusal } = await look(context, [entry], actor, context.now().toISOString())
  return {
    id: entry.id,
    at: entry.at,
    purgedAt: purgedAt(entry, context.store.data.settings[0]?.trashDays ?? null),
    reason: entry.reason,
    title: entry.title,
    ownerId: entry.ownerId,
    ownerLogin: entry.ownerId === null ? null : (context.owners.get(entry.ownerId)?.login ?? null),
    actorLogin: entry.actorLogin,
    operationId: entry.operationId,
    nodeName: entry.node?.name ?? null,
    usedBytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    files,
    refusal: refusal && [refusal.message, refusal.hint].filter(Boolean).join(' '),
  }
}

async function planOf(
  context: NodesContext,
  entries: readonly TrashEntry[],
  items: readonly RestoreItem[],
  refusal: SandlabError | null,
  title: string,
): Promise<OperationPlan> {
  const files = (await Promise.all(entries.map((entry) => trashFiles(context.layout, entry)))).flat()
  const swapped = items.flatMap(({ makesRoom, record }) => (makesRoom && record ? [record] : []))
  const running = items.flatMap((item) => (item.running && item.record ? [item.record.name] : []))
  return {
    kind: 'trash.restore',
    title,
    steps: [
      ...(running.length > 0 ? ['Ask the guests that run to shut down'] : []),
      ...(swapped.length > 0 ? ['Move the present disks to the trash'] : []),
      'Move the files back to where they were',
      'Record what is back',
      ...(running.length > 0 ? ['Start what ran'] : []),
    ],
    space: [],
    creates: items.flatMap(({ how, record, snapshots, drives }) => [
      ...(how === 'node' && record ? [{ type: 'node' as const, name: record.name }] : []),
      ...snapshots.map(({ name }) => ({ type: 'snapshot' as const, name })),
      ...(how === 'parts' ? drives.map(({ id }) => ({ type: 'drive' as const, name: id })) : []),
    ]),
    replaces: swapped.map(({ id, name }) => ({
      type: 'disk',
      id,
      name,
      bytes: context.observations.of(id).diskUsedBytes ?? 0,
      fate: 'moves to the trash',
    })),
    files: files.map((file) => ({ ...file, fate: 'comes back' })),
    warnings: [
      ...(running.length > 0 ? [`Shut down first, and started again: ${running.join(', ')}.`] : []),
      ...items.flatMap(({ entry, record }) => lossesOf(entry, record?.ownerId ?? null, items)),
    ],
    refusal: refusal && errorOf(refusal),
  }
}

/** What does not come back as it was. */
function lossesOf(entry: TrashEntry, ownerId: string | null, items: readonly RestoreItem[]): string[] {
  const item = items.find((one) => one.entry.id === entry.id)
  if (item?.how !== 'node') return []
  const gone = entry.snapshots.filter(({ id }) => !item.snapshots.some((snapshot) => snapshot.id === id))
  return [
    ...(gone.length > 0
      ? [`Snapshots whose layers are gone do not come back: ${gone.map(({ name }) => name).join(', ')}.`]
      : []),
    ...(ownerId !== null && ownerId !== entry.ownerId ? ['Its owner has no account any more: it becomes yours.'] : []),
  ]
}
