import { SandlabError } from '../domain/error.js'
import { overlayApiPath, overlayFile, sidecarFile } from '../domain/layout.js'
import { nodeRefuses } from '../domain/node.js'
import { z } from 'zod'
import { usedBytes } from '../storage/overlays.js'
import { markDetached } from '../storage/sidecars.js'
import { recordOf, viewNode, type NodesContext } from './context.js'
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

/**
 * The record goes first, durably; the storage is kept, or moved to the trash. Dying in between leaves files that no
 * record names, never a record without files.
 */
export async function deleteNode(context: NodesContext, id: string, deleteStorage: boolean): Promise<void> {
  const { id: nodeId } = recordOf(context, id)
  await context.locks.run(nodeId, 'delete', async () => {
    const record = recordOf(context, nodeId)
    const refusal = nodeRefuses('delete', viewNode(context, record).status)
    if (refusal !== undefined) throw new SandlabError('wrong_status', `${record.name}: ${refusal}`)
    await context.store.change((draft) => {
      draft.nodes = draft.nodes.filter((node) => node.id !== nodeId)
    })
    context.observations.forget(nodeId)
    context.bus.publish('nodes', nodeId, null, record.ownerId)
    if (!deleteStorage)
      await markDetached(context.layout, record).catch((error: unknown) => logKept(context, nodeId, error))
    await context.engine
      .remove(nodeId, { key: `remove-${nodeId}`, disks: deleteStorage ? 'delete' : 'keep' })
      .wait()
      .catch((error: unknown) => {
        throw engineFailure(error, `${record.name} was deleted, but its storage could not be moved to the trash`)
      })
    await forgetScreen(context, nodeId)
  })
}

function logKept(context: NodesContext, nodeId: string, error: unknown): void {
  context.log.warn({ err: error, nodeId }, 'the kept storage could not be marked as detached')
}
