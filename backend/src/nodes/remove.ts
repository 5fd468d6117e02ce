import { SandlabError } from '../domain/error.js'
import { layerIdSchema } from '../domain/ids.js'
import { overlayApiPath, overlayFile, sidecarFile } from '../domain/layout.js'
import type { OperationPlan } from '../domain/plan.js'
import { nodeRecordSchema, nodeRefuses, type NodeRecord } from '../domain/node.js'
import { snapshotsOf } from '../domain/snapshot.js'
import { z } from 'zod'
import { trashLayers } from '../storage/layers.js'
import { trashOverlay, usedBytes } from '../storage/overlays.js'
import { markDetached } from '../storage/sidecars.js'
import type { Procedure } from '../transactions/procedure.js'
import { recordOf, viewNode, type Actor, type NodesContext } from './context.js'
import { letGo, trashFolder } from './replace.js'
import { forgetScreen } from './screen.js'
import { dropUnusedLayers, goneFrom, layersOfKeptDisks, layersUnder } from './unused-layers.js'

export const deletePlanSchema = z
  .object({
    node: z.object({ id: z.string(), name: z.string() }),
    /** What happens without `deleteStorage`: the files stay and can be attached again. */
    keepsStorage: z.boolean(),
    files: z.array(z.object({ path: z.string(), bytes: z.number(), what: z.string() })),
  })
  .meta({ id: 'DeletePlan' })
export type DeletePlan = z.infer<typeof deletePlanSchema>

/** What a delete touches, with sizes: what the question shows and what is then done. */
export async function planDelete(context: NodesContext, id: string): Promise<DeletePlan> {
  const record = recordOf(context, id)
  const files = [
    { path: overlayApiPath(record.overlayFile), file: overlayFile(context.layout, record.id), what: 'disk' },
    { path: overlayApiPath(`node_${record.id}.json`), file: sidecarFile(context.layout, record.id), what: 'record' },
  ]
  const sized = await Promise.all(
    files.map(async (f) => ({ path: f.path, bytes: await usedBytes(f.file), what: f.what })),
  )
  return {
    node: { id: record.id, name: record.name },
    keepsStorage: true,
    files: sized.flatMap((file) => (file.bytes === null ? [] : [{ ...file, bytes: file.bytes }])),
  }
}

/** What a delete would do, and whether it would be refused; the delete itself is made from it. */
export async function planRemoval(context: NodesContext, id: string, deleteStorage: boolean): Promise<OperationPlan> {
  const record = recordOf(context, id)
  const { files } = await planDelete(context, id)
  const refusal = nodeRefuses('delete', viewNode(context, record).status)
  const trash = { type: 'node' as const, id: record.id, name: record.name }
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  const snapshots = snapshotsOf(context.store.data, record.id)
  return {
    kind: 'node.delete',
    title: `Delete ${record.name}`,
    steps: [
      'Take it from the list',
      deleteStorage
        ? 'Move its disk and record to the trash, and the layers that nothing else stands on'
        : 'Keep its disk and record: they can be attached again',
    ],
    space: [],
    creates: [],
    replaces: [{ ...trash, bytes, fate: deleteStorage ? 'moves to the trash' : 'its disk is kept' }],
    files: [],
    warnings: snapshots.length === 0 ? [] : [`Its snapshots stay: ${snapshots.map(({ name }) => name).join(', ')}.`],
    refusal: refusal === undefined ? null : { code: 'wrong_status', message: `${record.name}: ${refusal}` },
  }
}

const intentSchema = z.object({
  record: nodeRecordSchema,
  deleteStorage: z.boolean(),
  at: z.iso.datetime(),
  /** What lies under its disk. */
  layers: z.array(layerIdSchema).default([]),
  /** Found out by a step: layers under disks that were kept when their nodes were deleted. */
  keptLayers: z.array(layerIdSchema).default([]),
})
type DeleteIntent = z.infer<typeof intentSchema>

/**
 * Deletes a stopped node; only forward. The record goes first, durably: a kill leaves files that the next start keeps or
 * moves to the trash as was asked, never a record without files.
 */
export function deleteProcedure(context: NodesContext): Procedure<DeleteIntent> {
  const { layout } = context
  return {
    kind: 'node.delete',
    intent: intentSchema,
    resources: ({ record, deleteStorage }) => [
      { type: 'record', id: record.id },
      { type: deleteStorage ? 'trash' : 'disk', id: overlayApiPath(record.overlayFile) },
    ],
    around: ({ record }, work) => context.locks.run(record.id, 'delete', work),
    steps: [
      {
        title: 'Looking whether it is stopped',
        async do(intent) {
          const { record, deleteStorage } = intent
          const now = refuseRunning(context, record.id)
          // Nobody changes it any more: it is locked.
          intent.record = now
          if (JSON.stringify(now.backing) !== JSON.stringify(record.backing)) {
            throw new SandlabError('busy', `${now.name} has been cloned at this moment. Try again.`)
          }
          if (deleteStorage && intent.layers.length > 0) {
            intent.keptLayers = await layersOfKeptDisks(context, [record.id])
          }
        },
      },
    ],
    commit(draft, { record, deleteStorage, layers, keptLayers }) {
      draft.nodes = draft.nodes.filter((node) => node.id !== record.id)
      if (deleteStorage) dropUnusedLayers(draft, layers, keptLayers)
    },
    after: [
      {
        title: 'Taking it from the list',
        async do({ record }) {
          context.observations.forget(record.id)
          context.bus.publish('nodes', record.id, null, record.ownerId)
          await forgetScreen(context, record.id)
        },
      },
      {
        title: 'Letting go of its storage',
        async do({ record, deleteStorage, at, layers }) {
          await letGo(context, record)
          if (!deleteStorage) return markDetached(layout, record)
          await trashOverlay(layout, record.id, new Date(at))
          await trashLayers(layout, goneFrom(context.store.data, layers), trashFolder(layout, record.id, at))
        },
      },
    ],
  }
}

/** Throws `not_found`, `wrong_status` for a running node, `busy`. */
export async function deleteNode(
  context: NodesContext,
  id: string,
  deleteStorage: boolean,
  actor: Actor,
): Promise<void> {
  const record = recordOf(context, id)
  const { refusal, title } = await planRemoval(context, id, deleteStorage)
  if (refusal) throw new SandlabError('wrong_status', refusal.message)
  const layers = layersUnder(context.store.data, [record])
  const intent = { record, deleteStorage, at: context.now().toISOString(), layers, keptLayers: [] }
  const { result } = context.transactions.run(deleteProcedure(context), intent, {
    title,
    actor,
    target: { type: 'node', id: record.id },
    cancellable: false,
  })
  await result
}

function refuseRunning(context: NodesContext, id: string): NodeRecord {
  const record = recordOf(context, id)
  const refusal = nodeRefuses('delete', viewNode(context, record).status)
  if (refusal !== undefined) throw new SandlabError('wrong_status', `${record.name}: ${refusal}`)
  return record
}
