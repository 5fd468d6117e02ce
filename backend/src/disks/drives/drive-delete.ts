import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { driveIdSchema, driveRecordSchema, ROOT_DRIVE, type DriveRecord } from '../../domain/drive.js'
import { layerIdSchema, type OperationId } from '../../domain/ids.js'
import { chainOf, layerSchema } from '../../domain/layer.js'
import { nodeRecordSchema } from '../../domain/node.js'
import type { OperationPlan } from '../../domain/plan.js'
import type { TrashEntry } from '../../domain/trash.js'
import { recordOf, type Actor, type NodesContext } from '../../nodes/context.js'
import { layerFiles } from '../../nodes/node-storage.js'
import { dropUnusedLayers, goneFrom, layersOfKeptDisks } from '../../nodes/unused-layers.js'
import { driveApiPath, drivePath, removeDriveSidecar, writeDriveSidecar } from '../../storage/drive-files.js'
import { usedBytes } from '../../storage/overlays.js'
import { moveToTrash, trashIdOf } from '../../storage/trash-store.js'
import type { Procedure } from '../../transactions/procedure.js'
import { about, appliesLater, changeNode, changeSchema, planned, tellNode } from './drive-changes.js'
import { driveOf, refuseForRoot } from './drive-rules.js'
import { aloneOnDrives } from './drive-turns.js'

const intentSchema = changeSchema.extend({
  driveId: driveIdSchema,
  deleteStorage: z.boolean(),
  /** The node with the drive, as they are when nobody else works on them. */
  node: nodeRecordSchema,
  drive: driveRecordSchema,
  /** What the drive stands on: it goes with it where nothing else stands on it. */
  layers: z.array(layerSchema),
  keptLayers: z.array(layerIdSchema),
})
type DeleteIntent = z.infer<typeof intentSchema>

/** Takes a drive off a node. A drive that we made is kept as an orphan, or moves to the trash; a person's file is left alone. */
export function deleteDriveProcedure(context: NodesContext): Procedure<DeleteIntent> {
  const { layout } = context
  const detaches = ({ drive, deleteStorage }: DeleteIntent) => drive.source === 'automatic' && !deleteStorage
  return {
    kind: 'drive.delete',
    intent: intentSchema,
    resources: ({ drive, deleteStorage }) => [
      { type: deleteStorage ? 'trash' : 'drive', id: driveApiPath(layout, drive) },
    ],
    around: ({ nodeId, driveId, key }, work) =>
      aloneOnDrives(context, [nodeId], `remove the drive ${driveId} (${key.slice(0, 8)})`, work),
    steps: [
      {
        title: 'Looking at the drive',
        async do(intent) {
          intent.node = recordOf(context, intent.nodeId)
          intent.drive = driveOf(intent.node, intent.driveId)
          intent.layers = layersOf(context, intent)
          intent.keptLayers = intent.layers.length > 0 ? await layersOfKeptDisks(context, [intent.nodeId]) : []
        },
      },
      {
        title: 'Writing down whose it was',
        async do(intent) {
          if (detaches(intent)) await writeDriveSidecar(layout, intent.drive, intent.node)
        },
        undo: async (intent) => (detaches(intent) ? removeDriveSidecar(layout, intent.drive.file) : undefined),
      },
    ],
    commit(draft, intent) {
      const { driveId, drive, deleteStorage, layers, keptLayers } = intent
      changeNode(context, draft, intent, (node) => {
        driveOf(node, driveId)
        node.drives = node.drives.filter(({ id }) => id !== driveId)
        return `Drive ${driveId} removed: ${driveApiPath(layout, drive)} ${fateOf(drive, deleteStorage)}.`
      })
      const ids = layers.map(({ id }) => id)
      if (deleteStorage) dropUnusedLayers(draft, ids, keptLayers)
    },
    after: [
      {
        title: 'Letting go of its file',
        async do(intent, op) {
          const trashed = intent.deleteStorage && intent.drive.source === 'automatic'
          if (trashed) await moveToTrash(layout, entryOf(context, intent, op.id))
          await tellNode(context, intent.nodeId)
          context.bus.publish('storage', trashed ? 'trash' : 'orphans', null)
        },
      },
    ],
  }
}

/** Throws `not_found`, `unsupported` for the root disk, `busy`. */
export async function deleteDrive(
  context: NodesContext,
  nodeId: string,
  driveId: string,
  deleteStorage: boolean,
  actor: Actor,
): Promise<void> {
  const intent = prepare(context, nodeId, driveId, deleteStorage, actor)
  const title = titleOf(context, nodeId, driveId)
  const { result } = context.transactions.run(deleteDriveProcedure(context), intent, about(title, intent.nodeId, actor))
  await result
}

export async function planDeleteDrive(
  context: NodesContext,
  nodeId: string,
  driveId: string,
  deleteStorage: boolean,
  actor: Actor,
): Promise<OperationPlan> {
  return planned('drive.delete', titleOf(context, nodeId, driveId), async () => {
    const { node, drive } = prepare(context, nodeId, driveId, deleteStorage, actor)
    const bytes = (await usedBytes(drivePath(context.layout, drive))) ?? 0
    const fate = fateOf(drive, deleteStorage)
    const path = driveApiPath(context.layout, drive)
    return {
      steps: ['Take it off the node', `Its file ${fate}`],
      replaces: [{ type: 'drive', id: driveId, name: driveId, bytes, fate }],
      files: [{ path, bytes, fate }],
      warnings: appliesLater(context, node) ? ['The node runs: its guest has the drive until it is stopped.'] : [],
    }
  })
}

function prepare(
  context: NodesContext,
  nodeId: string,
  driveId: string,
  deleteStorage: boolean,
  actor: Actor,
): DeleteIntent {
  const node = recordOf(context, nodeId)
  if (driveId === ROOT_DRIVE) refuseForRoot(node.name, 'removed')
  const drive = driveOf(node, driveId)
  const at = context.now().toISOString()
  const change = { nodeId: node.id, at, actorLogin: actor.login, key: randomUUID() }
  return { ...change, driveId, deleteStorage, node, drive, layers: [], keptLayers: [] }
}

function layersOf({ store }: NodesContext, { drive, deleteStorage }: DeleteIntent): DeleteIntent['layers'] {
  if (drive.source !== 'automatic' || !deleteStorage || drive.backing.kind !== 'layer') return []
  return chainOf(store.data.layers, drive.backing).layers
}

/** The drive, and the layers that went with it. */
function entryOf({ store }: NodesContext, intent: DeleteIntent, operationId: OperationId): TrashEntry {
  const { node, drive, at, actorLogin, layers } = intent
  const gone = goneFrom(
    store.data,
    layers.map(({ id }) => id),
  )
  const files = [drive.file, ...gone.flatMap(layerFiles)]
  return {
    kind: 'sandlabx-trash',
    schema: 1,
    id: trashIdOf(at, uuidIn(drive.file)),
    at,
    reason: 'drive-deleted',
    title: `drive ${drive.id} of ${node.name}`,
    ownerId: node.ownerId,
    actorLogin,
    operationId,
    node,
    layers: layers.filter(({ id }) => gone.includes(id)),
    snapshots: [],
    drives: [drive],
    files: files.map((name) => ({ name, was: name })),
  }
}

function fateOf({ source }: Pick<DriveRecord, 'source'>, deleteStorage: boolean): string {
  if (source === 'file') return 'stays where it is: it is your own'
  return deleteStorage ? 'moves to the trash' : 'is kept and can be added again'
}

function uuidIn(file: string): string {
  return file.replace(/^drive_/, '').replace(/\.qcow2$/, '')
}

function titleOf(context: NodesContext, nodeId: string, driveId: string): string {
  return `Remove the drive ${driveId} of ${recordOf(context, nodeId).name}`
}
