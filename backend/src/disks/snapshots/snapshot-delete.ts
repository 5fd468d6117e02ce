import { rm } from 'node:fs/promises'
import { z } from 'zod'
import { SandlabError } from '../../domain/error.js'
import { nodeIdSchema } from '../../domain/ids.js'
import { backingSchema, chainOf, layerSchema, type Layer } from '../../domain/layer.js'
import type { Operation } from '../../domain/operation.js'
import { snapshotSchema } from '../../domain/snapshot.js'
import type { LabState } from '../../domain/state.js'
import { imageOf, publishNode, recordOf, type Actor, type NodesContext } from '../../nodes/context.js'
import { dropUnusedLayers, layersUnder } from '../../nodes/unused-layers.js'
import { measureSpace, noSpace, reserveSpace } from '../../storage/space.js'
import type { BulkHandle } from '../../transactions/operations.js'
import type { Procedure } from '../../transactions/procedure.js'
import { writeLayerRecords } from '../chains.js'
import { keptBackings, keptLayers } from './layer-children.js'
import { discardRewrite, publishRewrite, stageRewrite } from './layer-rewrite.js'
import { lockNodes } from '../lock-nodes.js'
import { applyMerge, mergeDown, publishMerged, takeBackMerge } from './merge-down.js'
import { fateSchema, fatesOf, nodesOf } from './snapshot-fates.js'
import { lookAgain } from './snapshot-flatten.js'
import { askerSchema, stagingOf } from './snapshot-intent.js'
import { refuseBusy, refuseUnsettled, snapshotOfNode } from './snapshot-rules.js'
import { bytesOfDelete } from './snapshot-bytes.js'
import { discardRemoved, trashRemoved } from './snapshot-trash.js'

export const deleteIntentSchema = z.object({
  id: z.uuid(),
  at: z.iso.datetime(),
  nodeId: nodeIdSchema,
  nodeName: z.string(),
  snapshot: snapshotSchema,
  /** Of its layers. */
  fates: z.array(fateSchema),
  /** Its layers and all under them, as they were: those that are of no use afterwards go with it. */
  layers: z.array(layerSchema),
  /** False: what goes is removed for good, as the retention of automatic ones wants it. */
  trash: z.boolean(),
  needBytes: z.int().nonnegative(),
  actor: askerSchema,
  /** Found out by the steps: what kept disks stand on; what the rewritten layers' records are to say. */
  kept: z.array(backingSchema),
  keptLayers: z.array(layerSchema.shape.id),
  rewritten: z.array(layerSchema.pick({ id: true, sizeBytes: true, mtimeMs: true })),
})
export type DeleteIntent = z.infer<typeof deleteIntentSchema>

/**
 * Takes a snapshot away. What one disk alone stands on is merged into it, in a file of its own that is compared before it
 * takes the disk's name, or live; what several share stays. Goes on after a kill; cancelled, all chains are as before.
 */
export function deleteSnapshotProcedure(context: NodesContext): Procedure<DeleteIntent> {
  return {
    kind: 'snapshot.delete',
    intent: deleteIntentSchema,
    resumable: true,
    resources: ({ snapshot, fates }) => [
      { type: 'snapshot', id: snapshot.id },
      ...fates.map(({ layerId }) => ({ type: 'layer' as const, id: layerId })),
    ],
    around(intent, work) {
      const ids = [intent.nodeId, ...nodesOf(context.store.data, intent.fates)]
      return lockNodes(context, ids, `delete snapshot ${intent.snapshot.name} (${intent.id.slice(0, 8)})`, work)
    },
    steps: [
      {
        title: 'Looking at what stands on it',
        do: (intent) => requireSameFates(context, intent),
      },
      {
        title: 'Merging what only one disk stands on',
        async do(intent, op) {
          const needs = [{ path: context.layout.overlays, bytes: intent.needBytes }]
          const what = `merge the snapshot ${intent.snapshot.name}`
          await reserveSpace(needs, what, () => mergeAll(context, intent, op))
        },
        undo: (intent) => takeBackAll(context, intent),
      },
    ],
    commit: (draft, intent) => commitDelete(draft, intent),
    after: [
      { title: 'Giving the merged files their names', do: (intent) => publishAll(context, intent) },
      {
        title: 'Removing what is of no use',
        do: (intent, op) => (intent.trash ? trashRemoved(context, intent, op.id) : discardRemoved(context, intent)),
      },
      { title: 'Writing the records beside the disks', do: (intent) => showDeleted(context, intent) },
    ],
  }
}

/** Back as soon as it has begun. Throws `not_found`, `busy`, `wrong_status`, `no_space`. */
export async function deleteSnapshot(
  context: NodesContext,
  id: string,
  snapshotId: string,
  actor: Actor,
  { trash = true }: { trash?: boolean } = {},
): Promise<{ operation: Operation; result: Promise<void> }> {
  const earlier = context.transactions.earlier(actor)
  if (earlier) return earlier
  const intent = await prepareDelete(context, id, snapshotId, actor, trash)
  refuseBusy(context, [intent.nodeId, ...nodesOf(context.store.data, intent.fates)])
  const [space] = await measureSpace([{ path: context.layout.overlays, bytes: intent.needBytes }])
  if (space && space.freeUpBytes > 0) throw noSpace(space, `delete the snapshot ${intent.snapshot.name}`)
  return context.transactions.run(deleteSnapshotProcedure(context), intent, {
    title: `Delete snapshot ${intent.snapshot.name} of ${intent.nodeName}`,
    actor,
    target: { type: 'node', id: intent.nodeId },
    cancellable: true,
    request: actor.request ?? null,
  })
}

/** Changes nothing. Throws `not_found`. */
export async function prepareDelete(
  context: NodesContext,
  id: string,
  snapshotId: string,
  actor: Actor,
  trash: boolean,
): Promise<DeleteIntent> {
  const { data } = context.store
  const record = recordOf(context, id)
  const snapshot = snapshotOfNode(data, record, snapshotId)
  const kept = await keptBackings(context)
  const fates = fatesOf(data, kept, snapshot)
  const layers = snapshot.disks.flatMap(
    ({ layerId }): Layer[] => chainOf(data.layers, { kind: 'layer', layerId }).layers,
  )
  return {
    id: crypto.randomUUID(),
    at: context.now().toISOString(),
    nodeId: record.id,
    nodeName: record.name,
    snapshot,
    fates,
    layers: [...new Set(layers)],
    trash,
    needBytes: await bytesOfDelete(context, fates),
    actor: { id: actor.id, login: actor.login },
    kept,
    keptLayers: [],
    rewritten: [],
  }
}

/** Only what has changed since: after a kill its own merges may be there already. */
async function requireSameFates(context: NodesContext, intent: DeleteIntent): Promise<void> {
  intent.kept = await keptBackings(context)
  intent.keptLayers = await keptLayers(context)
  if (JSON.stringify(fatesOf(context.store.data, intent.kept, intent.snapshot)) !== JSON.stringify(intent.fates)) {
    throw changed(intent)
  }
  for (const fate of intent.fates) {
    if (fate.kind !== 'disk') continue
    const record = recordOf(context, fate.merge.nodeId)
    context.observations.setEngine(await context.engine.inspect(record.id))
    await refuseUnsettled(context, record)
  }
}

async function mergeAll(context: NodesContext, intent: DeleteIntent, op: BulkHandle): Promise<void> {
  for (const fate of intent.fates) {
    op.signal.throwIfAborted()
    if (fate.kind === 'disk') await mergeDown(context, intent, fate.merge, op)
    if (fate.kind !== 'layer') continue
    const facts = await stageRewrite(context, intent, fate, op.signal)
    intent.rewritten = [...intent.rewritten.filter(({ id }) => id !== fate.into), { id: fate.into, ...facts }]
  }
}

async function takeBackAll(context: NodesContext, intent: DeleteIntent): Promise<void> {
  for (const fate of intent.fates) {
    if (fate.kind === 'disk') await takeBackMerge(context, intent, fate.merge)
    if (fate.kind === 'layer') await discardRewrite(context, intent, fate.into)
  }
  await rm(stagingOf(context.layout, intent), { recursive: true, force: true })
}

function commitDelete(draft: LabState, intent: DeleteIntent): void {
  const { snapshot, fates, kept, rewritten, layers, nodeId, at, actor } = intent
  if (JSON.stringify(fatesOf(draft, kept, snapshot)) !== JSON.stringify(fates)) throw changed(intent)
  draft.snapshots = draft.snapshots.filter(({ id }) => id !== snapshot.id)
  // What stood on it stands on what it stood on.
  for (const one of draft.snapshots) if (one.parentId === snapshot.id) one.parentId = snapshot.parentId
  for (const fate of fates) {
    if (fate.kind === 'disk') applyMerge(draft, fate.merge)
    if (fate.kind !== 'layer') continue
    const upper = draft.layers.find(({ id }) => id === fate.into)
    const lower = draft.layers.find(({ id }) => id === fate.layerId)
    const facts = rewritten.find(({ id }) => id === fate.into)
    if (!upper || !lower || !facts) throw changed(intent)
    Object.assign(upper, facts, { backing: lower.backing })
  }
  dropUnusedLayers(
    draft,
    layers.map(({ id }) => id),
    intent.keptLayers,
  )
  const record = draft.nodes.find(({ id }) => id === nodeId)
  if (!record) return
  const text = `Snapshot ${snapshot.name} deleted.`
  record.events = [{ at, kind: 'changed' as const, text, actorLogin: actor.login }, ...record.events].slice(0, 100)
}

async function publishAll(context: NodesContext, intent: DeleteIntent): Promise<void> {
  for (const fate of intent.fates) {
    if (fate.kind === 'disk') await publishMerged(context, intent, fate.merge)
    if (fate.kind === 'layer') await publishRewrite(context, intent, fate.into)
  }
}

async function showDeleted(context: NodesContext, intent: DeleteIntent): Promise<void> {
  const { data } = context.store
  const children = data.snapshots.filter(({ nodeId }) => nodeId === intent.nodeId)
  await writeLayerRecords(context, [
    ...intent.layers.map(({ id }) => id),
    ...intent.rewritten.map(({ id }) => id),
    ...children.flatMap(({ disks }) => disks.map(({ layerId }) => layerId)),
  ])
  await rm(stagingOf(context.layout, intent), { recursive: true, force: true })
  await lookAgain(context, intent.nodeId)
  const touched = intent.fates.flatMap((fate) => (fate.kind === 'disk' ? [fate.merge.nodeId] : []))
  for (const id of new Set(touched)) if (id !== intent.nodeId) await lookAgain(context, id)
  // Nodes that stand on a rewritten layer were looked at with its old file.
  const rewritten = new Set<string>(intent.rewritten.map(({ id }) => id))
  for (const record of rewritten.size === 0 ? [] : data.nodes) {
    if (!layersUnder(data, [record]).some((id) => rewritten.has(id))) continue
    await context.observations.inspectStorage(record, imageOf(context, record.imageId))
    publishNode(context, record.id)
  }
}

function changed({ snapshot }: DeleteIntent): SandlabError {
  return new SandlabError(
    'busy',
    `What stands on the snapshot ${snapshot.name} has changed at this moment. Try again.`,
    {
      hint: 'Nothing was changed.',
    },
  )
}
