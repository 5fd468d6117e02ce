import { SandlabError } from '../../domain/error.js'
import { userIdSchema } from '../../domain/ids.js'
import { chainOf, type Backing, type Layer } from '../../domain/layer.js'
import { nodeRefuses, type NodeRecord } from '../../domain/node.js'
import type { LabState } from '../../domain/state.js'
import type { TrashEntry } from '../../domain/trash.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { imageOf, viewNode, type Actor, type NodesContext } from '../../nodes/context.js'
import { changedDisk, marksOf } from '../../nodes/suspended-disks.js'
import { nameTaken, refuseOverQuota } from '../../nodes/new-record.js'
import { isInTrash, trashIdOf } from '../../storage/trash-store.js'
import { isThere } from '../reset/reset-intent.js'
import { howOf, type RestoreItem } from './restore-intent.js'
import { refuseUnsettled } from '../snapshots/snapshot-rules.js'

export interface RestoreWish {
  actor: Actor
  at: string
  /** Instead of the former one: of a node, or of a snapshot. */
  name?: string | undefined
}

/**
 * What bringing these entries back together means, or why it can't be. Changes nothing. Throws `storage_not_found`,
 * `storage_in_use`, `name_taken`, `base_missing`, `chain_broken`, `not_found`, `wrong_status`, `quota_reached`,
 * `drive_exists`, `unsupported`.
 */
export async function prepareRestore(
  context: NodesContext,
  entries: readonly TrashEntry[],
  wish: RestoreWish,
): Promise<RestoreItem[]> {
  const state = context.store.data
  const coming = await comingLayers(context, entries)
  const all = { ...state, layers: [...state.layers, ...coming] }
  const items: RestoreItem[] = []
  for (const [index, entry] of entries.entries()) {
    const files = await filesInTrash(context, entry)
    const layers = coming.filter(({ id }) => entry.layers.some((layer) => layer.id === id))
    items.push(await itemOf(context, { ...entry, files }, { layers, all, wish, index }))
  }
  refuseTogether(context, items)
  return items
}

interface Circumstances {
  /** That come back with it. */
  layers: Layer[]
  /** The state with everything that comes back. */
  all: Pick<Readonly<LabState>, 'layers' | 'images'>
  wish: RestoreWish
  index: number
}

async function itemOf(context: NodesContext, entry: TrashEntry, around: Circumstances): Promise<RestoreItem> {
  const { layers } = around
  const plain: RestoreItem = {
    entry,
    how: howOf(entry),
    record: null,
    running: false,
    layers,
    snapshots: [],
    drives: [],
    makesRoom: null,
    layersBelow: [],
  }
  if (plain.how !== 'swap') await refuseTakenFiles(context, entry)
  if (plain.how === 'node') return wholeNode(context, plain, around)
  if (plain.how === 'swap') return disksOf(context, plain, around)
  if (plain.how === 'memory') return memoryOf(context, plain)
  return plain.how === 'parts' ? partsOf(context, plain, around) : plain
}

/** A deleted node under its id, with its snapshots as far as their layers are there. */
function wholeNode(context: NodesContext, item: RestoreItem, { all, wish }: Circumstances): RestoreItem {
  const { entry } = item
  const former = requireRecord(entry)
  if (context.store.data.nodes.some(({ id }) => id === former.id)) {
    throw new SandlabError('storage_in_use', `${former.name} is there already, under the same id.`, {
      hint: 'Nothing was changed.',
    })
  }
  requireFile(entry, former.overlayFile, `the disk of ${former.name}`)
  requireBase(context, former, all)
  for (const { backing } of [former, ...former.drives]) requireChain(former.name, backing, all)
  const record = comingBack(context, former, wish)
  const whole = entry.snapshots.filter(({ disks }) =>
    disks.every(({ layerId }) => chainOf(all.layers, { kind: 'layer', layerId }).missing === null),
  )
  return { ...item, record, snapshots: whole }
}

/** Under the same id and network address; when its owner is gone, it goes to the one who brings it back. */
function comingBack(context: NodesContext, former: NodeRecord, { actor, at, name }: RestoreWish): NodeRecord {
  const hasOwner = context.owners.get(former.ownerId) !== undefined
  const ownerId = hasOwner ? former.ownerId : (userIdSchema.safeParse(actor.id).data ?? former.ownerId)
  const lives = { desired: 'stopped' as const, updatedAt: at }
  return { ...former, name: name ?? former.name, ownerId, ...lives }
}

/** A former disk of a node; the present one makes room, so that this can be undone as well. */
async function disksOf(
  context: NodesContext,
  item: RestoreItem,
  { all, wish, index }: Circumstances,
): Promise<RestoreItem> {
  const { entry } = item
  const former = requireRecord(entry)
  const record = requireNode(context, former)
  const refusal = nodeRefuses('reset', viewNode(context, record).status)
  if (refusal !== undefined) throw new SandlabError('wrong_status', `${record.name}: ${refusal}`)
  await refuseUnsettled(context, record)
  const layerNames = entry.layers.map(({ file }) => file)
  const disks = entry.files.filter(({ name }) => name.endsWith('.qcow2') && !layerNames.includes(name))
  if (disks.length === 0) throw notInTrash(`the disk of ${record.name}`)
  const drives = former.drives.filter(({ file }) => disks.some(({ name }) => name === file))
  const isRoot = disks.some(({ name }) => name === former.overlayFile)
  if (isRoot) requireBase(context, former, all)
  for (const { backing } of [...(isRoot ? [former] : []), ...drives]) requireChain(former.name, backing, all)
  const present = record.drives.filter(({ file }) => disks.some(({ name }) => name === file))
  const below = [...(isRoot ? [record] : []), ...present].flatMap(
    ({ backing }) => chainOf(context.store.data.layers, backing).layers,
  )
  return {
    ...item,
    record,
    running: isAlive(context, record),
    drives,
    layersBelow: below.filter(({ id }, at) => below.findIndex((other) => other.id === id) === at),
    makesRoom: {
      ...entry,
      id: trashIdOf(wish.at, `${record.id}_${index}`),
      at: wish.at,
      reason: 'restored',
      title: `disk of ${record.name} before an earlier one came back`,
      ownerId: record.ownerId,
      actorLogin: wish.actor.login,
      operationId: null,
      node: record,
      layers: [],
      snapshots: [],
      drives: present,
      files: await presentFiles(context, disks),
    },
  }
}

async function presentFiles({ layout }: NodesContext, disks: TrashEntry['files']): Promise<TrashEntry['files']> {
  const there = await Promise.all(disks.map(({ was }) => isThere(`${layout.overlays}/${was}`)))
  return disks.filter((_, index) => there[index])
}

/** It fits as long as nothing has run on the disks since. */
async function memoryOf(context: NodesContext, item: RestoreItem): Promise<RestoreItem> {
  const former = requireRecord(item.entry)
  const record = requireNode(context, former)
  const { status } = viewNode(context, record)
  if (!former.suspended || status !== 'stopped') {
    throw new SandlabError('wrong_status', `${record.name} is ${status}: only a stopped node takes its memory back.`)
  }
  requireFile(item.entry, former.suspended.memoryFile, `the memory of ${former.name}`)
  const changed = changedDisk(former.suspended.disks, await marksOf(context.layout, record))
  if (changed === undefined) return { ...item, record }
  throw new SandlabError('storage_in_use', `${record.name}: ${changed} was changed since its memory was saved.`, {
    hint: 'The memory fits it no more. It stays in the trash.',
  })
}

/** Snapshots and drives of a node that is there. */
function partsOf(context: NodesContext, item: RestoreItem, { all, wish }: Circumstances): RestoreItem {
  const { entry } = item
  const record = requireNode(context, requireRecord(entry))
  const own = context.store.data.snapshots.filter(({ nodeId }) => nodeId === record.id)
  const snapshots = entry.snapshots.map((snapshot) => ({ ...snapshot, name: wish.name ?? snapshot.name }))
  for (const { name, disks } of snapshots) {
    if (own.some((other) => other.name === name)) {
      throw new SandlabError('name_taken', `${record.name} has another snapshot named ${name} now.`, {
        hint: 'Give this one another name.',
      })
    }
    for (const { layerId } of disks) requireChain(record.name, { kind: 'layer', layerId }, all)
  }
  for (const { id, backing, source, file } of entry.drives) {
    if (record.drives.some((drive) => drive.id === id || drive.file === file)) {
      throw new SandlabError('drive_exists', `${record.name} has another drive ${id} now.`, {
        hint: 'Delete or move that one first.',
      })
    }
    if (source === 'automatic') requireFile(entry, file, `the drive ${id}`)
    requireChain(record.name, backing, all)
  }
  return { ...item, record, snapshots, drives: entry.drives }
}

/** Layers that come back: in the trash with their entry, or spared and still in their place. */
async function comingLayers(context: NodesContext, entries: readonly TrashEntry[]): Promise<Layer[]> {
  const known = new Set(context.store.data.layers.map(({ id }) => id))
  const found: Layer[] = []
  for (const { id: entryId, layers } of entries) {
    for (const layer of layers) {
      if (known.has(layer.id)) continue
      const here = await isInTrash(context.layout, entryId, layer.file)
      if (!here && !(await isThere(`${context.layout.overlays}/${layer.file}`))) continue
      known.add(layer.id)
      found.push(layer)
    }
  }
  return found
}

async function filesInTrash({ layout }: NodesContext, { id, files }: TrashEntry): Promise<TrashEntry['files']> {
  const there = await Promise.all(files.map(({ name }) => isInTrash(layout, id, name)))
  return files.filter((_, index) => there[index])
}

async function refuseTakenFiles({ layout }: NodesContext, { files }: TrashEntry): Promise<void> {
  for (const { was } of files) {
    const path = was.startsWith('/images/')
      ? `${layout.images}/${was.slice(8)}`
      : `${layout.overlays}/${was.replace(/^\/overlays\//, '')}`
    if (await isThere(path)) {
      throw new SandlabError('storage_in_use', `There is another ${was} now.`, {
        hint: 'What has taken its place must go first. Nothing was changed.',
      })
    }
  }
}

/** What only shows when all come back together. Throws `name_taken`, `quota_reached`. */
function refuseTogether(context: NodesContext, items: readonly RestoreItem[]): void {
  const nodes = items.flatMap(({ how, record }) => (how === 'node' && record ? [record] : []))
  const taken = new Set(context.store.data.nodes.map(({ ownerId, name }) => `${ownerId} ${name}`))
  for (const { ownerId, name } of nodes) {
    if (taken.has(`${ownerId} ${name}`)) throw nameTaken(name)
    taken.add(`${ownerId} ${name}`)
  }
  for (const ownerId of new Set(nodes.map((node) => node.ownerId))) {
    refuseOverQuota(context, ownerId, nodes.filter((node) => node.ownerId === ownerId).length)
  }
}

function requireRecord({ node }: TrashEntry): NodeRecord {
  if (node) return node
  throw new SandlabError('unsupported', 'There is no record of what this was: it can be looked at, and purged.')
}

function requireNode(context: NodesContext, former: NodeRecord): NodeRecord {
  const record = context.store.data.nodes.find(({ id }) => id === former.id)
  if (record) return record
  throw new SandlabError('not_found', `The node ${former.name}, whose this was, is gone.`, {
    hint: 'Bring the node back first.',
  })
}

function requireFile({ files }: TrashEntry, name: string, what: string): void {
  if (!files.some((file) => file.name === name)) throw notInTrash(what)
}

function notInTrash(what: string): SandlabError {
  return new SandlabError('storage_not_found', `It lacks ${what}: the file is not in the trash.`)
}

/** A disk is of use only over the very image that it was made for. */
function requireBase(context: NodesContext, former: NodeRecord, all: Circumstances['all']): void {
  const chain = chainOf(all.layers, former.backing)
  if (!chain.base && chain.missing === null) return
  const image = imageOf(context, former.imageId)
  if (image?.fingerprint.sha256 === former.base.sha256) return
  const what = image ? 'was replaced by another one' : 'is gone'
  throw new SandlabError('base_missing', `The base image ${former.imageId} of ${former.name} ${what}.`, {
    hint: 'Put the image back first.',
  })
}

function requireChain(name: string, backing: Backing, all: Circumstances['all']): void {
  const { missing } = chainOf(all.layers, backing)
  if (missing === null) return
  throw new SandlabError('chain_broken', `A layer on which the disk of ${name} stands is gone (${missing}).`, {
    hint: 'Bring back first what it was deleted with, if that is still in the trash.',
  })
}
