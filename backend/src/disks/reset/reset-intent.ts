import { lstat } from 'node:fs/promises'
import { z } from 'zod'
import { SandlabError } from '../../domain/error.js'
import { layerIdSchema, operationIdSchema, type OperationId } from '../../domain/ids.js'
import { backingSchema, chainOf, layerSchema } from '../../domain/layer.js'
import { imageFile, layerFile, overlayFile } from '../../domain/layout.js'
import { nodeRecordSchema, nodeRefuses, type NodeRecord } from '../../domain/node.js'
import { rootLayerOf, snapshotsOf } from '../../domain/snapshot.js'
import type { TrashEntry } from '../../domain/trash.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { imageOf, recordOf, viewNode, type Actor, type NodesContext } from '../../nodes/context.js'
import { layerFiles } from '../../nodes/node-storage.js'
import { trashIdOf } from '../../storage/trash-store.js'
import { refuseBusy, refuseUnsettled } from '../snapshots/snapshot-rules.js'

/** One node that is reset. */
export const resetNodeSchema = z.object({
  /** As it was when it was asked for. */
  record: nodeRecordSchema,
  /** It is shut down first, and started again afterwards. */
  running: z.boolean(),
  /** False for one whose disk is missing: there is nothing to keep. */
  hadDisk: z.boolean(),
  /** What the fresh disk stands on. */
  fresh: nodeRecordSchema.pick({ base: true, diskBytes: true }).extend({ backing: backingSchema }),
  /** Layers under the disk that it has now. */
  layers: z.array(layerSchema),
  /** In the trash. */
  entryId: z.string(),
})
export type ResetNode = z.infer<typeof resetNodeSchema>

export const resetIntentSchema = z.object({
  id: z.uuid(),
  at: z.iso.datetime(),
  nodes: z.array(resetNodeSchema).min(1),
  /** Null: the base image. */
  snapshot: z.string().nullable(),
  /** Guests are ended without being asked. */
  now: z.boolean(),
  actor: z.object({ id: z.string().nullable(), login: z.string() }),
  /** Of many resets under one roof: the operation whose undo brings all of them back. */
  undoneWith: operationIdSchema.nullable(),
  /** Found out by a step: layers under disks that were kept when their nodes were deleted. */
  keptLayers: z.array(layerIdSchema),
})
export type ResetIntent = z.infer<typeof resetIntentSchema>

/** What was asked for besides the nodes. */
export interface ResetHow {
  snapshot?: string | undefined
  now: boolean
}

/**
 * All that the reset of a node will name, and all that can be refused before it begins. Changes nothing. Throws
 * `not_found`, `wrong_status`, `busy`, `base_missing`, `storage_not_found`.
 */
export async function prepareNode(
  context: NodesContext,
  id: string,
  { snapshot }: ResetHow,
  at: string,
): Promise<ResetNode> {
  const record = recordOf(context, id)
  const refusal = nodeRefuses('reset', viewNode(context, record).status)
  if (refusal !== undefined) throw new SandlabError('wrong_status', `${record.name}: ${refusal}`)
  refuseBusy(context, [id])
  await refuseUnsettled(context, record)
  return {
    record,
    running: isAlive(context, record),
    hadDisk: await isThere(overlayFile(context.layout, record.id)),
    fresh: await freshOf(context, record, snapshot),
    layers: chainOf(context.store.data.layers, record.backing).layers,
    entryId: trashIdOf(at, record.id),
  }
}

async function freshOf(
  context: NodesContext,
  record: NodeRecord,
  snapshotName: string | undefined,
): Promise<ResetNode['fresh']> {
  const image = imageOf(context, record.imageId)
  if (!image || !(await isThere(imageFile(context.layout, image.file)))) {
    throw new SandlabError('base_missing', `${record.name} can't be reset: its base image ${record.imageId} is gone.`, {
      hint: 'Put the image back first. Nothing was changed.',
    })
  }
  if (snapshotName === undefined) {
    const diskBytes = Math.max(record.diskBytes, image.virtualSizeBytes)
    return { backing: { kind: 'image' }, base: image.fingerprint, diskBytes }
  }
  const own = snapshotsOf(context.store.data, record.id)
  const snapshot = own.find(({ name }) => name === snapshotName)
  const layerId = snapshot && rootLayerOf(snapshot)
  const layer = context.store.data.layers.find((one) => one.id === layerId)
  if (!layer) {
    throw new SandlabError('not_found', `${record.name} has no snapshot ${snapshotName} of its disk.`, {
      hint: own.length === 0 ? 'It has none at all.' : `It has ${own.map(({ name }) => name).join(', ')}.`,
    })
  }
  if (!(await isThere(layerFile(context.layout, layer.id)))) {
    throw new SandlabError('storage_not_found', `The file of the snapshot ${snapshotName} is missing.`, {
      hint: 'See `sandlabx storage verify`. Nothing was changed.',
    })
  }
  const diskBytes = Math.max(record.diskBytes, layer.diskBytes)
  return { backing: { kind: 'layer', layerId: layer.id }, base: layer.base, diskBytes }
}

/** The disk that goes, as the trash keeps it. `unused`: layers that go with it, once nothing stands on them. */
export function resetEntry(
  intent: ResetIntent,
  { record, entryId, layers }: ResetNode,
  operationId: OperationId,
  unused: readonly string[] = [],
): TrashEntry {
  const names = [record.overlayFile, ...unused.flatMap(layerFiles)]
  return {
    kind: 'sandlabx-trash',
    schema: 1,
    id: entryId,
    at: intent.at,
    reason: 'reset',
    title: `disk of ${record.name} before its reset`,
    ownerId: record.ownerId,
    actorLogin: intent.actor.login,
    operationId: intent.undoneWith ?? operationId,
    node: record,
    layers: layers.filter(({ id }) => unused.includes(id)),
    snapshots: [],
    drives: [],
    files: names.map((name) => ({ name, was: name })),
  }
}

export function actorOfIntent({ actor }: Pick<ResetIntent, 'actor'>): Actor {
  return { ...actor, request: null }
}

export async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
