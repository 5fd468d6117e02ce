import { rm } from 'node:fs/promises'
import type { OperationId } from '../../domain/ids.js'
import type { Layer } from '../../domain/layer.js'
import { layerFileName, memoryFile } from '../../domain/layout.js'
import type { Snapshot } from '../../domain/snapshot.js'
import type { TrashEntry } from '../../domain/trash.js'
import type { NodesContext } from '../../nodes/context.js'
import { goneFrom } from '../../nodes/unused-layers.js'
import { discardLayer } from '../../storage/layers.js'
import { moveToTrash, trashIdOf } from '../../storage/trash-store.js'

/** A snapshot that was deleted, with the layers that may have gone with it. */
interface Removed {
  snapshot: Snapshot
  layers: readonly Layer[]
  at: string
  nodeId: string
  nodeName: string
  actor: { login: string }
}

/** File and record of each of these layers, as an entry of the trash names them. */
export function layerTrashFiles(layers: readonly Layer[]): TrashEntry['files'] {
  return layers
    .flatMap(({ id }) => [layerFileName(id), layerFileName(id).replace(/qcow2$/, 'json')])
    .map((name) => ({ name, was: name }))
}

/** Those that the state no longer has. */
export function goneLayers(context: NodesContext, layers: readonly Layer[]): Layer[] {
  const gone = goneFrom(
    context.store.data,
    layers.map(({ id }) => id),
  )
  return layers.filter(({ id }) => gone.includes(id))
}

/** The snapshot with its files: undone, it is there again. What has been merged stays merged, it holds the same. */
export async function trashRemoved(context: NodesContext, intent: Removed, operationId: OperationId): Promise<void> {
  const { snapshot, at, nodeId, nodeName, actor } = intent
  const layers = goneLayers(context, intent.layers)
  const record = context.store.data.nodes.find(({ id }) => id === nodeId) ?? null
  const memory = snapshot.memory ? [{ name: snapshot.memory.file, was: snapshot.memory.file }] : []
  await moveToTrash(context.layout, {
    kind: 'sandlabx-trash',
    schema: 1,
    id: trashIdOf(at, snapshot.id),
    at,
    reason: 'snapshot-deleted',
    title: `snapshot ${snapshot.name} of ${nodeName}`,
    ownerId: record?.ownerId ?? null,
    actorLogin: actor.login,
    operationId,
    node: record,
    layers,
    snapshots: [snapshot],
    drives: [],
    files: [...layerTrashFiles(layers), ...memory],
  })
  context.bus.publish('storage', 'trash', null)
}

/** For good. */
export async function discardRemoved(context: NodesContext, { layers, snapshot }: Removed): Promise<void> {
  for (const { id } of goneLayers(context, layers)) await discardLayer(context.layout, id)
  if (snapshot.memory) await rm(memoryFile(context.layout, snapshot.id), { force: true })
}
