import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { layerIdSchema } from '../domain/ids.js'
import { overlayApiPath } from '../domain/layout.js'
import { nodeRecordSchema, nodeRefuses, type NodeRecord } from '../domain/node.js'
import { markDetached } from '../storage/sidecars.js'
import type { Procedure } from '../transactions/procedure.js'
import { recordOf, viewNode, type Actor, type NodesContext } from './context.js'
import { nodeStorageSchema, removeRecords, storageOf, trashNode } from './node-storage.js'
import type { RemovalOptions } from './removal-plan.js'
import { letGo } from './replace.js'
import { forgetScreen } from './screen.js'
import { layersOfKeptDisks } from './unused-layers.js'

const intentSchema = z.object({
  record: nodeRecordSchema,
  deleteStorage: z.boolean(),
  keepSnapshots: z.boolean().default(false),
  at: z.iso.datetime(),
  /** What may go with it. */
  storage: nodeStorageSchema.default({ layers: [], snapshots: [] }),
  actorLogin: z.string().default('unknown'),
  /** Found out by a step: layers under disks that were kept when their nodes were deleted. */
  keptLayers: z.array(layerIdSchema).default([]),
})
type DeleteIntent = z.infer<typeof intentSchema>

/**
 * Deletes a stopped node; only forward. The record goes first, durably: a kill leaves files that the next start keeps or
 * moves to the trash as was asked, never a record without files.
 */
export function deleteProcedure(context: NodesContext): Procedure<DeleteIntent> {
  return {
    kind: 'node.delete',
    intent: intentSchema,
    resources: ({ record, deleteStorage }) => [
      { type: 'record', id: record.id },
      { type: deleteStorage ? 'trash' : 'disk', id: overlayApiPath(record.overlayFile) },
    ],
    around: (intent, work) => context.locks.run(intent.record.id, actionOf(intent), work),
    steps: [
      {
        title: 'Looking whether it is stopped',
        async do(intent) {
          const { record, deleteStorage, storage } = intent
          const now = refuseRunning(context, record.id)
          // Nobody changes it any more: it is locked.
          intent.record = now
          const storageNow = storageOf(context.store.data, now)
          if (JSON.stringify([now.backing, storageNow]) !== JSON.stringify([record.backing, storage])) {
            throw new SandlabError('busy', `The disks of ${now.name} have changed at this moment. Try again.`)
          }
          if (deleteStorage && storage.layers.length > 0) {
            intent.keptLayers = await layersOfKeptDisks(context, [record.id])
          }
        },
      },
    ],
    commit(draft, intent) {
      if (intent.deleteStorage) removeRecords(draft, intent)
      else draft.nodes = draft.nodes.filter(({ id }) => id !== intent.record.id)
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
        async do(intent, op) {
          await letGo(context, intent.record)
          if (intent.deleteStorage) await trashNode(context, { ...intent, reason: 'deleted', operationId: op.id })
          else await markDetached(context.layout, intent.record)
          context.bus.publish('storage', 'orphans', null)
        },
      },
    ],
  }
}

/** Throws `not_found`, `wrong_status` for a running node, `busy`. */
export async function deleteNode(
  context: NodesContext,
  id: string,
  options: RemovalOptions,
  actor: Actor,
): Promise<void> {
  const record = refuseRunning(context, id)
  const { result } = context.transactions.run(
    deleteProcedure(context),
    {
      record,
      ...options,
      at: context.now().toISOString(),
      storage: storageOf(context.store.data, record),
      actorLogin: actor.login,
      keptLayers: [],
    },
    { title: `Delete ${record.name}`, actor, target: { type: 'node', id: record.id }, cancellable: false },
  )
  await result
}

/** A double click joins the delete under way, one that asks for something else does not. */
function actionOf({ deleteStorage, keepSnapshots }: DeleteIntent): string {
  if (!deleteStorage) return 'delete'
  return keepSnapshots ? 'delete, keeping the snapshots' : 'delete with its storage'
}

function refuseRunning(context: NodesContext, id: string): NodeRecord {
  const record = recordOf(context, id)
  const refusal = nodeRefuses('delete', viewNode(context, record).status)
  if (refusal !== undefined) throw new SandlabError('wrong_status', `${record.name}: ${refusal}`)
  return record
}
