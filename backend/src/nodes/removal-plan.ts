import { chainOf, type Layer } from '../domain/layer.js'
import { overlayApiPath } from '../domain/layout.js'
import { nodeRefuses, type NodeRecord } from '../domain/node.js'
import type { OperationPlan } from '../domain/plan.js'
import type { LabState } from '../domain/state.js'
import { usedBytes } from '../storage/overlays.js'
import { recordOf, viewNode, type NodesContext } from './context.js'
import { layerFiles, ownFiles, removeRecords, sparedLayers, storageOf, type NodeStorage } from './node-storage.js'
import { layersOfKeptDisks } from './unused-layers.js'

export interface RemovalOptions {
  /** Otherwise all of it stays where it is. */
  deleteStorage: boolean
  /** With `deleteStorage`: the layers of its snapshots stay, as files that can be attached. */
  keepSnapshots: boolean
}

type PlannedFile = OperationPlan['files'][number]
const TO_TRASH = 'moves to the trash'
const STAYS = 'stays'

/** What a delete would do to each file, and whether it would be refused; the delete does exactly this. Throws `not_found`. */
export async function planRemoval(
  context: NodesContext,
  id: string,
  { deleteStorage, keepSnapshots }: RemovalOptions,
): Promise<OperationPlan> {
  const record = recordOf(context, id)
  const storage = storageOf(context.store.data, record)
  const refusal = nodeRefuses('delete', viewNode(context, record).status)
  const files = await filesOf(context, record, storage, { deleteStorage, keepSnapshots })
  const mine = files.filter(({ fate }) => fate !== UNTOUCHED)
  const going = mine.filter(({ fate }) => fate === TO_TRASH)
  const bytes = (deleteStorage ? going : mine).reduce((sum, file) => sum + file.bytes, 0)
  return {
    kind: 'node.delete',
    title: `Delete ${record.name}`,
    steps: ['Take it from the list', whatHappens({ deleteStorage, keepSnapshots }, storage)],
    space: [],
    creates: [],
    replaces: [
      {
        type: 'node',
        id: record.id,
        name: record.name,
        bytes,
        fate: deleteStorage ? TO_TRASH : 'its disk is kept',
      },
    ],
    files,
    warnings: warningsOf({ deleteStorage, keepSnapshots }, storage, files),
    refusal: refusal === undefined ? null : { code: 'wrong_status', message: `${record.name}: ${refusal}` },
  }
}

function whatHappens({ deleteStorage, keepSnapshots }: RemovalOptions, { snapshots }: NodeStorage): string {
  if (!deleteStorage) return 'Keep its disk and record: they can be attached again'
  const spared = keepSnapshots && snapshots.length > 0
  return spared
    ? 'Move its disks and record to the trash, and keep the files of its snapshots'
    : 'Move its disks, record and snapshots to the trash, but for layers that others stand on'
}

function warningsOf(
  { deleteStorage, keepSnapshots }: RemovalOptions,
  { snapshots }: NodeStorage,
  files: readonly PlannedFile[],
): string[] {
  const names = snapshots.map(({ name }) => name).join(', ')
  const told = snapshots.length === 0 ? [] : [snapshotsWarning(names, deleteStorage, keepSnapshots)]
  const own = files.filter(({ fate }) => fate === UNTOUCHED).map(({ path }) => path)
  return own.length === 0 ? told : [...told, `Files of your own are not touched: ${own.join(', ')}.`]
}

function snapshotsWarning(names: string, deleteStorage: boolean, keepSnapshots: boolean): string {
  if (deleteStorage && !keepSnapshots) return `Its snapshots go with it: ${names}.`
  return `Its snapshots stay: ${names}.`
}

const UNTOUCHED = 'is not touched: it is a file of your own'

async function filesOf(
  context: NodesContext,
  record: NodeRecord,
  storage: NodeStorage,
  { deleteStorage, keepSnapshots }: RemovalOptions,
): Promise<PlannedFile[]> {
  const { layout } = context
  const own = ownFiles(record, storage).map((name) => ({
    file: `${layout.overlays}/${name}`,
    path: overlayApiPath(name),
    fate: deleteStorage ? TO_TRASH : STAYS,
  }))
  const strangers = record.drives.flatMap(({ source, file }) =>
    source === 'file'
      ? [{ file: file.startsWith('/') ? file : `${layout.overlays}/${file}`, path: apiPathOf(file), fate: UNTOUCHED }]
      : [],
  )
  const fates = deleteStorage ? await layerFates(context, record, storage, keepSnapshots) : undefined
  const layers = storage.layers.flatMap((layer) =>
    layerFiles(layer.id).map((name) => ({
      file: `${layout.overlays}/${name}`,
      path: overlayApiPath(name),
      fate: fates?.get(layer.id) ?? STAYS,
    })),
  )
  const sized = await Promise.all(
    [...own, ...strangers, ...layers].map(async ({ file, path, fate }) => ({
      path,
      bytes: await usedBytes(file),
      fate,
    })),
  )
  return sized.flatMap(({ path, bytes, fate }) => (bytes === null ? [] : [{ path, bytes, fate }]))
}

const apiPathOf = (file: string) => (file.startsWith('/') ? file : overlayApiPath(file))

/** By trying it on a copy of the records: what the commit does is what is told. */
async function layerFates(
  context: NodesContext,
  record: NodeRecord,
  storage: NodeStorage,
  keepSnapshots: boolean,
): Promise<Map<string, string>> {
  const { data } = context.store
  const keptLayers = storage.layers.length > 0 ? await layersOfKeptDisks(context, [record.id]) : []
  const after = { nodes: [...data.nodes], layers: [...data.layers], snapshots: [...data.snapshots] }
  removeRecords(after, { record, storage, keepSnapshots, keptLayers })
  const spared: string[] = keepSnapshots ? sparedLayers(storage) : []
  return new Map(
    storage.layers.map((layer) => {
      if (after.layers.some(({ id }) => id === layer.id)) return [layer.id, `${STAYS}: ${standingOn(after, layer)}`]
      if (!spared.includes(layer.id)) return [layer.id, TO_TRASH]
      return [layer.id, `${STAYS} as a file: ${keptFor(layer, storage)}`]
    }),
  )
}

function standingOn(state: Pick<LabState, 'nodes' | 'layers' | 'snapshots'>, { id }: Layer): string {
  const under = (backing: Layer['backing']) => chainOf(state.layers, backing).layers.some((layer) => layer.id === id)
  const nodes = state.nodes.filter(({ backing, drives }) => [backing, ...drives.map((one) => one.backing)].some(under))
  const names = nodes.map(({ name }) => name)
  if (names.length > 0)
    return `${names.length > 3 ? `${names.length} nodes` : names.join(', ')} ${names.length > 1 ? 'stand' : 'stands'} on it`
  return 'a snapshot, or a disk that was kept, stands on it'
}

function keptFor({ id }: Layer, { snapshots }: NodeStorage): string {
  const names = snapshots.filter(({ disks }) => disks.some(({ layerId }) => layerId === id)).map(({ name }) => name)
  return names.length > 0 ? `the snapshot ${names.join(', ')}` : 'a snapshot stands on it'
}
