import { randomUUID } from 'node:crypto'
import { SandlabError } from '../../domain/error.js'
import { nodeRefuses } from '../../domain/node.js'
import type { Operation } from '../../domain/operation.js'
import type { LabState } from '../../domain/state.js'
import type { TrashEntry } from '../../domain/trash.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { imageOf, publishNode, recordOf, viewNode, type Actor, type NodesContext } from '../../nodes/context.js'
import { refuseTaken } from '../../nodes/new-record.js'
import { layerFiles } from '../../nodes/node-storage.js'
import { startLocked } from '../../nodes/start.js'
import { stopLocked } from '../../nodes/stop.js'
import { dropUnusedLayers, goneFrom, layersOfKeptDisks } from '../../nodes/unused-layers.js'
import { writeSidecar } from '../../storage/sidecars.js'
import { moveToTrash, purgeTrash, putBack, takeFromTrash } from '../../storage/trash-store.js'
import { errorOf } from '../../transactions/operation-record.js'
import type { BulkHandle } from '../../transactions/operations.js'
import type { Procedure } from '../../transactions/procedure.js'
import { writeLayerRecords } from '../chains.js'
import { forEachNode } from '../for-each-node.js'
import { lockNodes } from '../lock-nodes.js'
import { standOn } from '../own-disks.js'
import { nodesOf, restoreIntentSchema, type RestoreIntent, type RestoreItem } from './restore-intent.js'
import { prepareRestore } from './restore-prepare.js'
import { refuseBusy } from '../snapshots/snapshot-rules.js'

/** Brings entries of the trash back: all files of all of them, and their records with one change of state; or nothing. */
export function restoreProcedure(context: NodesContext): Procedure<RestoreIntent> {
  const { layout } = context
  return {
    kind: 'trash.restore',
    intent: restoreIntentSchema,
    resources: ({ items }) => items.map(({ entry }) => ({ type: 'trash' as const, id: entry.id })),
    around: (intent, work) =>
      // No two actions have one name: the second would be taken for the first.
      lockNodes(context, nodesOf(intent), `restore (${intent.id.slice(0, 8)})`, () => work()),
    steps: [
      {
        title: 'Stopping what runs',
        do: (intent, op) => stopAll(context, intent, op),
        // A guest that was shut down is started again by whoever asked; its disk is as it left it.
      },
      {
        title: 'Making room',
        do: ({ items }, op) =>
          forEachNode(items, op, async ({ makesRoom }) => {
            if (makesRoom) await moveToTrash(layout, { ...makesRoom, operationId: op.id })
          }),
        undo: ({ items }) =>
          forEachNode(items, null, async ({ makesRoom }) => {
            if (makesRoom) await takeFromTrash(layout, makesRoom.id)
          }),
      },
      {
        title: 'Bringing the files back',
        do: ({ items }, op) => forEachNode(items, op, ({ entry }) => putBack(layout, entry)),
        undo: ({ items }) => forEachNode(items, null, ({ entry }) => moveToTrash(layout, entry)),
      },
    ],
    commit: (draft, intent) => commitRestore(draft, intent),
    after: [
      { title: 'Emptying their place in the trash', do: (intent, op) => tidyTrash(context, intent, op) },
      { title: 'Showing what is back', do: (intent) => showRestored(context, intent) },
      { title: 'Starting what ran', do: (intent, op) => startAgain(context, intent, op) },
    ],
  }
}

/**
 * Begins to bring entries back; back as soon as it has begun. A request that came before with the same key is answered
 * with what it began. Throws as `prepareRestore`, and `busy`, `key_reused`.
 */
export async function beginRestore(
  context: NodesContext,
  entries: readonly TrashEntry[],
  wish: { actor: Actor; name?: string | undefined; title: string; words: string },
): Promise<Operation> {
  const { actor, name, title, words } = wish
  const at = context.now().toISOString()
  const items = await prepareRestore(context, entries, { actor, at, name })
  refuseBusy(context, nodesOf({ items }))
  const earlier = context.transactions.earlier(actor) // a request that came at the same time
  if (earlier) return earlier.operation
  const intent = { id: randomUUID(), at, items, actor: { id: actor.id, login: actor.login }, words, keptLayers: [] }
  const [first] = items
  const { operation, result } = context.transactions.run(restoreProcedure(context), intent, {
    title,
    actor,
    target: items.length === 1 && first?.record ? { type: 'node', id: first.record.id } : null,
    cancellable: items.length > 1,
    request: actor.request ?? null,
    items: items.map(({ entry, record }) => ({ id: record?.id ?? null, name: record?.name ?? entry.title })),
  })
  result.catch(() => undefined) // the operation itself carries the failure
  return operation
}

async function stopAll(context: NodesContext, intent: RestoreIntent, op: BulkHandle): Promise<void> {
  await forEachNode(intent.items, op, async ({ how, record }) => {
    if (how !== 'swap' || !record) return
    const before = recordOf(context, record.id)
    if (isAlive(context, before)) await stopLocked(context, before, false, { ...intent.actor, request: null })
    const now = recordOf(context, record.id)
    const refusal = nodeRefuses('delete', viewNode(context, now).status)
    if (refusal !== undefined) throw new SandlabError('wrong_status', `${now.name} could not be stopped.`)
    const disks = (one: typeof now) => JSON.stringify([one.backing, one.drives])
    if (disks(now) === disks(record)) return
    throw new SandlabError('busy', `The disks of ${now.name} have changed at this moment. Try again.`)
  })
  if (intent.items.every(({ layersBelow }) => layersBelow.length === 0)) return
  const ids = intent.items.flatMap(({ record }) => record?.id ?? [])
  intent.keptLayers = await layersOfKeptDisks(context, ids)
}

function commitRestore(draft: LabState, intent: RestoreIntent): void {
  const known = new Set(draft.layers.map(({ id }) => id))
  draft.layers.push(...intent.items.flatMap(({ layers }) => layers).filter(({ id }) => !known.has(id)))
  for (const item of intent.items) {
    if (item.how === 'node') addNode(draft, item, intent)
    else if (item.record) changeNode(draft, item, intent)
    const snapshots = draft.snapshots.map(({ id }) => id)
    draft.snapshots.push(...item.snapshots.filter(({ id }) => !snapshots.includes(id)))
  }
  const below = intent.items.flatMap(({ layersBelow }) => layersBelow.map(({ id }) => id))
  dropUnusedLayers(draft, below, intent.keptLayers)
}

/** What may have changed since we looked is looked at again. */
function addNode(draft: LabState, { record }: RestoreItem, { at, actor, words }: RestoreIntent): void {
  if (!record) return
  refuseTaken(draft, record.name, record.ownerId)
  if (draft.nodes.some(({ id, mac }) => id === record.id || mac === record.mac)) {
    throw new SandlabError('storage_in_use', `${record.name} is there already.`)
  }
  if (record.backing.kind !== 'none' && !draft.images.some(({ id }) => id === record.imageId)) {
    throw new SandlabError('base_missing', `The base image ${record.imageId} was deleted meanwhile.`)
  }
  const event = { at, kind: 'changed' as const, text: words, actorLogin: actor.login }
  draft.nodes.push({ ...record, events: [event, ...record.events].slice(0, 100) })
}

/** Its disks stand on what they stood on; or drives are added. */
function changeNode(draft: LabState, item: RestoreItem, { at, actor, words }: RestoreIntent): void {
  const node = draft.nodes.find(({ id }) => id === item.record?.id)
  if (!node) throw new SandlabError('not_found', `${item.record?.name} was deleted meanwhile.`)
  const { entry, how, drives } = item
  if (how === 'swap' && entry.node) {
    if (entry.files.some(({ name }) => name === entry.node?.overlayFile)) {
      Object.assign(node, { backing: entry.node.backing, base: entry.node.base, diskBytes: entry.node.diskBytes })
    }
    for (const { id, backing, sizeBytes } of drives) standOn(node, id, backing, sizeBytes)
    node.desired = 'stopped'
  } else if (how === 'memory') {
    node.suspended = entry.node?.suspended ?? null
  } else if (how === 'parts' && drives.length > 0) {
    node.drives = [...node.drives, ...drives]
    node.drivesChangedAt = at
  }
  node.updatedAt = at
  node.events = [{ at, kind: 'changed' as const, text: words, actorLogin: actor.login }, ...node.events].slice(0, 100)
}

async function tidyTrash(context: NodesContext, { items }: RestoreIntent, op: BulkHandle): Promise<void> {
  const moved = new Set<string>()
  for (const { makesRoom, layersBelow } of items) {
    const candidates = layersBelow.filter(({ id }) => !moved.has(id))
    const unused = goneFrom(
      context.store.data,
      candidates.map(({ id }) => id),
    )
    for (const id of unused) moved.add(id)
    if (!makesRoom || unused.length === 0) continue
    const files = unused.flatMap(layerFiles).map((name) => ({ name, was: name }))
    const layers = candidates.filter(({ id }) => unused.includes(id))
    await moveToTrash(context.layout, {
      ...makesRoom,
      operationId: op.id,
      layers,
      files: [...makesRoom.files, ...files],
    })
  }
  for (const { entry } of items) await purgeTrash(context.layout, entry.id)
  context.bus.publish('storage', 'trash', null)
  context.bus.publish('storage', 'orphans', null)
}

async function showRestored(context: NodesContext, { items }: RestoreIntent): Promise<void> {
  const kept = items.flatMap(({ snapshots }) => snapshots.flatMap(({ disks }) => disks.map(({ layerId }) => layerId)))
  await writeLayerRecords(context, [
    ...new Set([...kept, ...items.flatMap(({ layers }) => layers.map(({ id }) => id))]),
  ])
  await forEachNode(items, null, async ({ record }) => {
    const now = context.store.data.nodes.find(({ id }) => id === record?.id)
    if (!now) return
    await writeSidecar(context.layout, now)
    context.observations.setEngine(await context.engine.inspect(now.id))
    await context.observations.inspectStorage(now, imageOf(context, now.imageId))
    publishNode(context, now.id)
  })
}

async function startAgain(context: NodesContext, { items, actor }: RestoreIntent, op: BulkHandle): Promise<void> {
  // While SandLabX itself is starting, nothing waits for guests to boot.
  const isRecovery = context.transactions.recovery === null
  if (isRecovery && items.some(({ running }) => running)) {
    op.log('SandLabX ended before they were started again: start them yourself.')
  }
  await forEachNode(items, null, async ({ record, running }, index) => {
    if (!running || !record || isRecovery) return op.item(index, { state: 'succeeded' })
    await startLocked(context, record.id, { ...actor, request: null }).then(
      () => op.item(index, { state: 'succeeded' }),
      (error: unknown) => {
        op.item(index, { state: 'failed', error: errorOf(error) })
        op.log(`${record.name} is back, but could not be started.`)
      },
    )
  })
}
