import { SandlabError } from '../../domain/error.js'
import type { Operation } from '../../domain/operation.js'
import type { OperationPlan } from '../../domain/plan.js'
import type { TrashEntry } from '../../domain/trash.js'
import type { Actor, NodesContext } from '../../nodes/context.js'
import { listTrash, purgeTrash, trashFiles } from '../../storage/trash-store.js'
import { errorOf } from '../../transactions/operation-record.js'

const DAY_MS = 24 * 3600 * 1000
const SYSTEM: Actor = { id: null, login: 'system' }

/** When an entry is removed for good by itself; null: never. Pure. */
export function purgedAt({ at }: Pick<TrashEntry, 'at'>, trashDays: number | null): string | null {
  return trashDays === null ? null : new Date(Date.parse(at) + trashDays * DAY_MS).toISOString()
}

/** Its operation has not ended: files may still move in. */
export function isUnderWay({ operations, locks }: NodesContext, { operationId, node }: TrashEntry): boolean {
  if (operationId !== null && operations.get(operationId)?.state === 'running') return true
  return node !== null && (locks.busy(node.id)?.startsWith('restore') ?? false)
}

/** Throws `busy`. */
export function refuseUnderWay(context: NodesContext, entry: TrashEntry): void {
  if (!isUnderWay(context, entry)) return
  throw new SandlabError('busy', `${entry.title} is being worked on.`, {
    hint: 'Wait until that is done, then try again.',
  })
}

/** Removes what has been in the trash for longer than the lab's settings say. Answers with how many there were. */
export async function purgeDue(context: NodesContext, now: Date, signal?: AbortSignal): Promise<number> {
  const trashDays = context.store.data.settings[0]?.trashDays ?? null
  if (trashDays === null) return 0
  const due = (await listTrash(context.layout)).filter((entry) => {
    const at = purgedAt(entry, trashDays)
    return at !== null && Date.parse(at) <= now.getTime() && !isUnderWay(context, entry)
  })
  let purged = 0
  for (const { id, title } of due) {
    if (signal?.aborted) break
    await purgeTrash(context.layout, id)
    context.log.info({ entry: id, title }, 'the trash was kept long enough: removed for good')
    purged += 1
  }
  if (purged > 0) context.bus.publish('storage', 'trash', null)
  return purged
}

/** One, for good. Throws `busy`. */
export async function purgeOne(context: NodesContext, entry: TrashEntry): Promise<void> {
  refuseUnderWay(context, entry)
  await purgeTrash(context.layout, entry.id)
  context.bus.publish('storage', 'trash', null)
}

/** Begins to remove entries for good; back as soon as it has begun. What is being worked on stays, and is told. */
export function beginPurge(context: NodesContext, entries: readonly TrashEntry[], actor: Actor = SYSTEM): Operation {
  const { operation, result } = context.operations.start(
    {
      kind: 'trash.purge',
      title: titleOf(entries),
      actor,
      target: null,
      cancellable: true,
      resources: entries.map(({ id }) => ({ type: 'trash' as const, id })),
      items: entries.map(({ id, title }) => ({ id, name: title })),
      request: actor.request ?? null,
    },
    async (op) => {
      op.step('Removing it for good', 0)
      let failure: unknown
      for (const [index, entry] of entries.entries()) {
        op.signal.throwIfAborted()
        try {
          await purgeOne(context, entry)
          op.item(index, { state: 'succeeded' })
        } catch (error) {
          failure ??= error
          op.item(index, { state: 'failed', error: errorOf(error) })
        }
        op.step('Removing it for good', (index + 1) / entries.length)
      }
      if (failure !== undefined) throw failure
    },
  )
  result.catch(() => undefined) // the operation itself carries the failure
  return operation
}

/** What would be gone. `all`: what else lies in the trash, for what stands on it. */
export async function planPurge(
  context: NodesContext,
  entries: readonly TrashEntry[],
  all: readonly TrashEntry[],
): Promise<OperationPlan> {
  const files = await Promise.all(entries.map((entry) => trashFiles(context.layout, entry)))
  const busy = entries.find((entry) => isUnderWay(context, entry))
  return {
    kind: 'trash.purge',
    title: titleOf(entries),
    steps: ['Remove the files for good: they can not be brought back'],
    space: [],
    creates: [],
    replaces: entries.map(({ id, title, reason }, index) => ({
      type: reason === 'snapshot-deleted' ? 'snapshot' : reason === 'drive-deleted' ? 'drive' : 'disk',
      id,
      name: title,
      bytes: (files[index] ?? []).reduce((sum, { bytes }) => sum + bytes, 0),
      fate: 'removed for good',
    })),
    files: files.flat().map((file) => ({ ...file, fate: 'removed for good' })),
    warnings: standingOn(entries, all).map(
      (title) => `${title} stands on layers that go with this, and can't be brought back then.`,
    ),
    refusal: busy ? { code: 'busy', message: `${busy.title} is being worked on.` } : null,
  }
}

function standingOn(entries: readonly TrashEntry[], all: readonly TrashEntry[]): string[] {
  const going = new Set<string>(entries.map(({ id }) => id))
  const layers = new Set<string>(entries.flatMap((entry) => entry.layers.map(({ id }) => id)))
  const onOne = (backing: TrashEntry['layers'][number]['backing']) =>
    backing.kind === 'layer' && layers.has(backing.layerId)
  return all
    .filter(({ id }) => !going.has(id))
    .filter(({ node, layers: own }) =>
      [...(node ? [node, ...node.drives] : []), ...own].some((one) => onOne(one.backing)),
    )
    .map(({ title }) => title)
}

function titleOf(entries: readonly TrashEntry[]): string {
  return entries.length === 1 ? `Remove ${entries[0]?.title} for good` : `Remove ${entries.length} things for good`
}
