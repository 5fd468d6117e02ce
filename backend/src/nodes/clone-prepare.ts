import { randomUUID } from 'node:crypto'
import { SandlabError } from '../domain/error.js'
import { layerIdSchema, nodeIdSchema, snapshotIdSchema, type LayerId, type UserId } from '../domain/ids.js'
import { chainOf, MAX_CHAIN_DEPTH, type Backing } from '../domain/layer.js'
import { overlayFile, overlayFileName } from '../domain/layout.js'
import { expandNames } from '../domain/name-pattern.js'
import { nodeRefuses, type CloneNode, type NodeRecord } from '../domain/node.js'
import { macOf } from '../hosts/machine.js'
import { filesBelow, measureCopy } from '../storage/chain-files.js'
import { readerOf } from '../storage/layer-copies.js'
import { usedBytes } from '../storage/overlays.js'
import type { CloneIntent } from './clone-intent.js'
import { bytesForDrives, clonedDrives, drivesOfClone, type ClonedDrive } from './clone-drive-plan.js'
import { rootLayerOf, snapshotsOf, type Snapshot } from '../domain/snapshot.js'
import { imageOf, recordOf, viewNode, type Actor, type NodesContext } from './context.js'
import { storageOf } from './node-storage.js'
import { nameTaken, noSuchImage, refuseOverQuota } from './new-record.js'

/** What the one who asks may do besides. */
export interface CloneRights {
  /** The clones keep the source's way to the internet. */
  internet: boolean
}

/**
 * Everything that a clone will name, and everything that can be refused before it begins. Changes nothing. Throws
 * `not_found`, `wrong_status`, `name_taken`, `quota_reached`, `bad_request`.
 */
export async function prepareClone(
  context: NodesContext,
  id: string,
  request: CloneNode,
  actor: Actor,
  rights: CloneRights,
): Promise<CloneIntent> {
  const source = recordOf(context, id)
  const snapshotId = snapshotOf(context, source, request.snapshot)
  const readsDisk = snapshotId === null || request.snapshotFirst
  const refusal = readsDisk ? nodeRefuses('clone', viewNode(context, source).status) : undefined
  if (refusal !== undefined) throw new SandlabError('wrong_status', `${source.name}: ${refusal}`)
  const snapshot = request.snapshot === undefined ? undefined : snapshotNamed(context, source, request.snapshot)
  const drives = clonedDrives(source, snapshot)
  const at = context.now().toISOString()
  const ownerId = request.ownerId ?? source.ownerId
  const names = expandNames(request.name, request.count)
  const replaced = names.flatMap((name) => standingInTheWay(context, source, name, ownerId, request) ?? [])
  refuseOverQuota(context, ownerId, names.length - replaced.length)
  const layerName = request.snapshotFirst ? freeSnapshotName(context, source, at) : null
  const intent: Omit<CloneIntent, 'needBytes'> = {
    id: randomUUID(),
    at,
    source,
    full: request.full,
    layerId: layerIdSchema.parse(randomUUID()),
    layerName,
    snapshotIdToMake: snapshotIdSchema.parse(randomUUID()),
    snapshotId,
    records: names.map((name) => cloneRecord(source, drives, { name, ownerId, at, actor, rights, full: request.full })),
    replaced,
    replacedStorage: replaced.map((record) => storageOf(context.store.data, record)),
    replacedBy: replaced.length === 0 ? null : request.idempotent ? 'idempotent' : 'force',
    start: request.start,
    actor: { id: actor.id, login: actor.login },
    layer: null,
    from: snapshotId === null ? source.backing : { kind: 'layer', layerId: snapshotId },
    sourceMoved: false,
    keptLayers: [],
    drives,
  }
  return { ...intent, needBytes: await bytesFor(context, intent) }
}

/** Its own copy of a frozen disk is needed when its guest may go on writing, or when its chain is as deep as allowed. */
export function copiesDisk(context: NodesContext, source: NodeRecord): boolean {
  return isAlive(context, source) || chainOf(context.store.data.layers, source.backing).layers.length >= MAX_CHAIN_DEPTH
}

export function isAlive(context: NodesContext, record: NodeRecord): boolean {
  return ['running', 'paused', 'starting', 'stopping', 'suspending'].includes(viewNode(context, record).status)
}

export function snapshotOf(context: NodesContext, source: NodeRecord, name: string | undefined): LayerId | null {
  return name === undefined ? null : rootLayerOf(snapshotNamed(context, source, name))
}

function snapshotNamed(context: NodesContext, source: NodeRecord, name: string): Snapshot {
  const own = snapshotsOf(context.store.data, source.id)
  const found = own.find((snapshot) => snapshot.name === name)
  if (found) return found
  throw new SandlabError('not_found', `${source.name} has no snapshot named ${name}.`, {
    hint: own.length === 0 ? 'It has none at all.' : `It has ${own.map((snapshot) => snapshot.name).join(', ')}.`,
  })
}

/** The flags' table (seed 001): without a flag the name is taken; with either the old node goes to the trash. */
function standingInTheWay(
  context: NodesContext,
  source: NodeRecord,
  name: string,
  ownerId: UserId,
  request: CloneNode,
): NodeRecord | undefined {
  const old = context.store.data.nodes.find((node) => node.name === name && node.ownerId === ownerId)
  if (!old) return undefined
  if (old.id === source.id) {
    throw new SandlabError('name_taken', `A clone can't take the place of its own source ${source.name}.`, {
      hint: 'Choose another name. Nothing was changed.',
    })
  }
  if (!request.idempotent && !request.force) throw nameTaken(name)
  const { status } = viewNode(context, old)
  if (['stopped', 'crashed', 'broken', 'running', 'paused'].includes(status)) return old
  throw new SandlabError('wrong_status', `${name} can't be replaced now: it is ${status}.`, {
    hint: 'Wait until it has settled, then try again. Nothing was changed.',
  })
}

/** For a snapshot that is kept before a clone. */
export function freeSnapshotName(context: NodesContext, source: NodeRecord, at: string): string {
  const taken = new Set(snapshotsOf(context.store.data, source.id).map(({ name }) => name))
  const name = `before-clone-${at.slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-')}`
  if (!taken.has(name)) return name
  for (let number = 2; ; number += 1) if (!taken.has(`${name}-${number}`)) return `${name}-${number}`
}

interface Identity {
  name: string
  ownerId: UserId
  at: string
  actor: Actor
  rights: CloneRights
  full: boolean
}

/** As the source, under its own id, name and network address; nothing of the source's history. */
function cloneRecord(
  source: NodeRecord,
  drives: readonly ClonedDrive[],
  { name, ownerId, at, actor, rights, full }: Identity,
): NodeRecord {
  const id = nodeIdSchema.parse(randomUUID())
  const backing: Backing = full ? { kind: 'none' } : source.backing
  const text = `Cloned from ${source.name}${full ? ', with a disk of its own' : ''}.`
  return {
    ...source,
    id,
    name,
    ownerId,
    backing,
    overlayFile: overlayFileName(id),
    mac: macOf(id),
    internet: source.internet && rights.internet,
    drives: drivesOfClone(source, drives, at),
    drivesChangedAt: null,
    suspended: null,
    desired: 'stopped',
    lastExit: null,
    generation: 0,
    createdAt: at,
    updatedAt: at,
    events: [{ at, kind: 'created', text, actorLogin: actor.login }],
  }
}

/** Linked: what the guests write first, and the copy of a disk that can't be moved. Full: what qemu-img measures. */
async function bytesFor(context: NodesContext, intent: Omit<CloneIntent, 'needBytes'>): Promise<number> {
  const { layout, rules } = context
  const { source, records, full, snapshotId, layerName } = intent
  const disk = overlayFile(layout, source.id)
  const readsDisk = snapshotId === null || layerName !== null
  const copied = readsDisk && copiesDisk(context, source) ? ((await usedBytes(disk)) ?? 0) : 0
  const fresh = (full ? 0 : records.length) + (readsDisk ? 1 : 0)
  const drives = records.length * (await bytesForDrives(context, intent.drives, full))
  const growth = fresh * rules.growthReserveBytes + copied + drives
  if (!full) return growth
  const image = imageOf(context, source.imageId)
  if (!image) throw noSuchImage(source.imageId)
  const below = filesBelow(layout, chainOf(context.store.data.layers, intent.from), image)
  // A running QEMU writes to its disk: what that holds is added, not read.
  const onTop = snapshotId === null && isAlive(context, source) ? ((await usedBytes(disk)) ?? 0) : 0
  const files = snapshotId === null && onTop === 0 ? [disk, ...below] : below
  const each = files.length === 0 ? 0 : await measureCopy(files, await readerOf(disk))
  return growth + records.length * (each + onTop)
}
