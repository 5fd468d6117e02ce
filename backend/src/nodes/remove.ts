import { SandlabError } from '../domain/error.js'
import { overlayApiPath, overlayFile, sidecarFile } from '../domain/layout.js'
import { nodeRecordSchema, nodeRefuses, type NodeRecord } from '../domain/node.js'
import { z } from 'zod'
import { trashOverlay, usedBytes } from '../storage/overlays.js'
import { markDetached } from '../storage/sidecars.js'
import type { Procedure } from '../transactions/procedure.js'
import { recordOf, viewNode, type Actor, type NodesContext } from './context.js'
import { engineFailure } from './engine-failure.js'
import { forgetScreen } from './screen.js'

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

const intentSchema = z.object({ record: nodeRecordSchema, deleteStorage: z.boolean(), at: z.iso.datetime() })
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
      { title: 'Looking whether it is stopped', do: async ({ record }) => void refuseRunning(context, record.id) },
    ],
    commit(draft, { record }) {
      draft.nodes = draft.nodes.filter((node) => node.id !== record.id)
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
        async do({ record, deleteStorage, at }) {
          await context.engine
            .remove(record.id, { key: `remove-${record.id}`, disks: 'keep' })
            .wait()
            .catch((error: unknown) => {
              throw engineFailure(error, `${record.name} was deleted, but its storage is still held`)
            })
          if (deleteStorage) await trashOverlay(layout, record.id, new Date(at))
          else await markDetached(layout, record)
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
  const record = refuseRunning(context, recordOf(context, id).id)
  const intent = { record, deleteStorage, at: context.now().toISOString() }
  const { result } = context.transactions.run(deleteProcedure(context), intent, {
    title: `Delete ${record.name}`,
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
