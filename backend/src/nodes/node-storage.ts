import { z } from 'zod'
import type { LayerId, OperationId } from '../domain/ids.js'
import { layerSchema, type Layer } from '../domain/layer.js'
import { layerFileName, overlayFileName } from '../domain/layout.js'
import type { NodeRecord } from '../domain/node.js'
import { keptBySnapshots, snapshotSchema, snapshotsOf } from '../domain/snapshot.js'
import type { LabState } from '../domain/state.js'
import type { TrashEntry } from '../domain/trash.js'
import { writeLayerSidecar } from '../storage/layers.js'
import { moveToTrash, trashIdOf } from '../storage/trash-store.js'
import type { NodesContext } from './context.js'
import { dropUnusedLayers, goneFrom, layersUnder } from './unused-layers.js'

/** Records of what belongs to a node besides its own: the layers under its disks and snapshots, and the snapshots. */
export const nodeStorageSchema = z.object({ layers: z.array(layerSchema), snapshots: z.array(snapshotSchema) })
export type NodeStorage = z.infer<typeof nodeStorageSchema>

type Records = Pick<LabState, 'nodes' | 'layers' | 'snapshots'>

/** Pure. */
export function storageOf(state: Readonly<Records>, record: NodeRecord): NodeStorage {
  const snapshots = snapshotsOf(state, record.id)
  const kept = keptBySnapshots(snapshots)
  const below = layersUnder(state, [record])
  const under = state.layers.filter(({ id }) => kept.includes(id)).flatMap(({ backing }) => idsUnder(state, backing))
  const ids = new Set([...below, ...kept, ...under])
  return { layers: state.layers.filter(({ id }) => ids.has(id)), snapshots }
}

export interface Removal {
  record: Pick<NodeRecord, 'id'>
  storage: NodeStorage
  /** The layers of its snapshots, and what is under them, stay as files without records. */
  keepSnapshots: boolean
  /** Layers under disks that were kept when their nodes were deleted. */
  keptLayers: readonly LayerId[]
}

/** Takes a node whose storage goes out of the state: itself, its snapshots, and the layers that nothing else needs. */
export function removeRecords(draft: Records, { record, storage, keepSnapshots, keptLayers }: Removal): void {
  draft.nodes = draft.nodes.filter(({ id }) => id !== record.id)
  draft.snapshots = draft.snapshots.filter(({ nodeId }) => nodeId !== record.id)
  const spared = keepSnapshots ? sparedLayers(storage) : []
  const others = storage.layers.map(({ id }) => id).filter((id) => !spared.includes(id))
  dropUnusedLayers(draft, others, [...keptLayers, ...spared])
  dropUnusedLayers(draft, spared, keptLayers)
}

/** What snapshots keep, and what that stands on. Pure. */
export function sparedLayers({ layers, snapshots }: NodeStorage): LayerId[] {
  const kept = keptBySnapshots(snapshots)
  const under = layers.filter(({ id }) => kept.includes(id)).flatMap(({ backing }) => idsUnder({ layers }, backing))
  return [...new Set([...kept, ...under])]
}

function idsUnder(state: Pick<Readonly<LabState>, 'layers'>, backing: Layer['backing']): LayerId[] {
  const ids: LayerId[] = []
  for (let next = backing; next.kind === 'layer' && !ids.includes(next.layerId);) {
    const { layerId } = next
    ids.push(layerId)
    next = state.layers.find(({ id }) => id === layerId)?.backing ?? { kind: 'none' }
  }
  return ids
}

export interface Gone extends Omit<Removal, 'record' | 'keptLayers'> {
  record: NodeRecord
  at: string
  reason: 'deleted' | 'replaced'
  actorLogin: string
  operationId: OperationId
}

/**
 * After the commit that took a node out of the state: its files move to the trash as one entry; what stays says whose it
 * was. May be called again after a kill.
 */
export async function trashNode(context: NodesContext, gone: Gone): Promise<void> {
  const { layout, store } = context
  const { record, storage, keepSnapshots } = gone
  const dropped = goneFrom(
    store.data,
    storage.layers.map(({ id }) => id),
  )
  const spared = keepSnapshots ? sparedLayers(storage) : []
  await moveToTrash(layout, entryOf(gone, dropped, spared))
  for (const layer of storage.layers) {
    if (!dropped.includes(layer.id)) await tellSidecar(context, layer, record)
    else if (spared.includes(layer.id)) {
      const keeping = storage.snapshots.filter(({ disks }) => disks.some(({ layerId }) => layerId === layer.id))
      await writeLayerSidecar(layout, layer, { nodeName: record.name, snapshots: keeping })
    }
  }
  context.bus.publish('storage', 'trash', null)
}

/** A layer that others stand on: the snapshots that kept it besides are no longer told beside it. */
async function tellSidecar({ layout, store }: NodesContext, layer: Layer, record: NodeRecord): Promise<void> {
  const owner = layer.nodeId === record.id ? record : store.data.nodes.find(({ id }) => id === layer.nodeId)
  const snapshots = store.data.snapshots.filter(({ disks }) => disks.some(({ layerId }) => layerId === layer.id))
  await writeLayerSidecar(layout, layer, { nodeName: owner?.name ?? record.name, snapshots })
}

function entryOf(gone: Gone, dropped: readonly LayerId[], spared: readonly LayerId[]): TrashEntry {
  const { record, storage, at, reason, actorLogin, operationId } = gone
  const moving = dropped.filter((id) => !spared.includes(id))
  return {
    kind: 'sandlabx-trash',
    schema: 1,
    id: trashIdOf(at, record.id),
    at,
    reason,
    title: `node ${record.name}`,
    ownerId: record.ownerId,
    actorLogin,
    operationId,
    node: record,
    layers: storage.layers.filter(({ id }) => dropped.includes(id)),
    snapshots: storage.snapshots,
    drives: record.drives,
    files: [...ownFiles(record, storage), ...moving.flatMap(layerFiles)].map((name) => ({ name, was: name })),
  }
}

/** Names in `overlays/` of everything that is a node's alone; not all of them need be there. */
export function ownFiles(
  { id, drives, suspended }: NodeRecord,
  { snapshots }: Pick<NodeStorage, 'snapshots'>,
): string[] {
  const automatic = drives.flatMap(({ source, file }) => (source === 'automatic' ? [file] : []))
  const memories = snapshots.flatMap(({ memory }) => (memory ? [memory.file] : []))
  return [
    overlayFileName(id),
    `node_${id}.json`,
    `node_${id}.efivars.fd`,
    ...automatic,
    ...memories,
    ...(suspended ? [suspended.memoryFile] : []),
  ]
}

/** A layer's file and the record beside it, by name in `overlays/`. */
export function layerFiles(id: string): string[] {
  return [layerFileName(id), `layer_${id}.json`]
}
