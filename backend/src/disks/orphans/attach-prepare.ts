import { randomUUID } from 'node:crypto'
import { SandlabError } from '../../domain/error.js'
import { nodeIdSchema, userIdSchema, type UserId } from '../../domain/ids.js'
import type { Image } from '../../domain/image.js'
import type { Layer } from '../../domain/layer.js'
import { memoryFileName, overlayApiPath, overlayFileName } from '../../domain/layout.js'
import type { NodeConfig } from '../../domain/node-config.js'
import type { NodeRecord } from '../../domain/node.js'
import type { Snapshot } from '../../domain/snapshot.js'
import type { AttachStorage } from '../../domain/storage.js'
import type { Actor, NodesContext } from '../../nodes/context.js'
import { readLayerSidecars } from '../../state/sidecar-records.js'
import { backingNameOf, usedBytes } from '../../storage/overlays.js'
import { findChain, missingLayers, type ChainQuestion, type FoundChain } from './attach-chain.js'
import { configDrives, formerDrives, type FoundDrives } from './attach-drives.js'
import type { AttachIntent } from './attach-intent.js'
import { recordFrom, type Origin } from './attach-record.js'
import { lookAtSource, type AttachSource } from './attach-source.js'
import { badConfig, parseNodeConfig } from './config-yaml.js'
import { formerNodes, formerOf, type Former } from './formers.js'
import { readStoragePath, refuseForeignPath, type PathRights } from './storage-path.js'

/** What the person who asks may do besides. */
export interface AttachRights {
  paths: PathRights
  /** The node keeps its way to the internet. */
  internet: boolean
}

/**
 * All that an attach will name. Changes nothing. Throws `storage_not_found`, `storage_in_use`, `path_not_allowed`,
 * `hostile_header`, `chain_broken`, `base_missing`, `config_mismatch`, `bad_node_config`, `name_taken`, `quota_reached`.
 */
export async function prepareAttach(
  context: NodesContext,
  request: AttachStorage & { start?: boolean },
  actor: Actor,
  rights: AttachRights,
): Promise<AttachIntent> {
  const { layout, store } = context
  const path = await refuseForeignPath(readStoragePath(layout, request.path), rights.paths)
  const config = request.config === undefined ? null : parseNodeConfig(request.config)
  const source = await lookAtSource(context, path)
  const inOverlays = path.place === 'overlays' ? path.name : ''
  const former = await formerOf(layout, inOverlays, await formerNodes(layout, store.data))
  refuseMismatch(context, config, source, former)
  if (!former.record && !config) throw nothingKnown(path.shown)
  const sidecars = new Map((await readLayerSidecars(layout)).found.map((layer) => [layer.id as string, layer]))
  const isLayer = former.layer !== null
  const backingPath = isLayer ? path.shown : source.backingPath
  const baseSha256 = former.record?.base.sha256 ?? config?.imageSha256 ?? null
  const rebaseTo = request.rebaseTo ?? null
  const chain = findChain(context, { shown: path.shown, backingPath, baseSha256, rebaseTo, sidecars })
  const image = chain.image ?? imageFor(context, request, config, former, path.shown)
  const way = isLayer ? 'layer' : wayOf(source)
  const at = context.now().toISOString()
  const sameNode = way !== 'layer' && (former.record === null || former.kind === 'disk')
  const diskBytes = source.virtualSizeBytes
  const origin: Origin = {
    former: former.record,
    config,
    name: request.name,
    ownerId: ownerOf(context, request, former, actor),
    image,
    backing: way === 'convert' ? { kind: 'none' } : chain.backing,
    diskBytes,
    fileId: nodeIdSchema.safeParse(/^node_(.*)\.qcow2$/.exec(inOverlays)?.[1]).data ?? null,
    sameNode,
    rights,
    actor,
    at,
    text: isLayer ? `Made from the snapshot ${former.snapshotName ?? path.shown}.` : `Attached from ${path.shown}.`,
  }
  const { record, warnings } = await recordFrom(context, origin)
  const drives = await drivesOf(context, origin, way, sidecars)
  const renamed = way === 'keep' && record.overlayFile !== path.name ? 'rename' : way
  const restored = await restoredSnapshots(context, record, former, renamed === 'layer', sidecars)
  const layers = unique([...chain.layers, ...drives.layers, ...restored.layers])
  return {
    id: randomUUID(),
    at,
    record: { ...record, drives: drives.drives },
    way: renamed,
    path: path.absolute,
    shown: path.shown,
    rebase: await rebaseOf(context, source, chain, way),
    former: renamed === 'keep' ? former.record : null,
    layers: renamed === 'layer' ? layers.map((layer) => adopted(layer, former, record)) : layers,
    snapshots: restored.snapshots,
    newDrives: drives.made,
    needBytes: context.rules.growthReserveBytes + (way === 'convert' || way === 'copy' ? source.copyBytes : 0),
    start: request.start ?? false,
    actor: { id: actor.id, login: actor.login },
    warnings: [
      ...chain.warnings,
      ...warnings,
      ...drives.warnings,
      ...sizeWarnings(former.record, config, diskBytes, isLayer),
    ],
  }
}

/** What a copy keeps is the original: it stays. */
function wayOf({ path, format, backingPath }: AttachSource): 'keep' | 'convert' | 'copy' {
  if (format === 'raw' || (path.place !== 'overlays' && backingPath === null)) return 'convert'
  return path.place === 'overlays' ? 'keep' : 'copy'
}

function refuseMismatch(
  { layout }: NodesContext,
  config: NodeConfig | null,
  source: AttachSource,
  former: Former,
): void {
  if (!config) return
  const { root } = config
  const { shown, absolute } = source.path
  if (!root) throw badConfig(['`storage` must describe the disk that is attached.'])
  const named = root.file === undefined ? undefined : readStoragePath(layout, root.file)
  // A snapshot's file: the config may be that of its node.
  const isItsNode =
    former.layer !== null && named?.shown === overlayApiPath(overlayFileName(former.layer.record.nodeId))
  if (named && named.shown !== shown && named.absolute !== absolute && !isItsNode) {
    throw new SandlabError('config_mismatch', `The config describes ${named.shown}, and ${shown} is to be attached.`, {
      hint: `Write \`file: ${shown}\` for its first disk, or attach ${named.shown}.`,
      details: { config: named.shown, path: shown },
    })
  }
  if (root.type !== source.format) {
    throw new SandlabError('config_mismatch', `${shown} is a ${source.format} disk, the config says ${root.type}.`, {
      hint: `Write \`type: ${source.format}\` for its first disk.`,
    })
  }
}

function nothingKnown(shown: string): SandlabError {
  return new SandlabError('bad_node_config', `No record beside ${shown} says which node it was.`, {
    hint: 'Give a config: `--vm-config FILE`, with at least its name, its `image` and its first disk. `sandlabx show` of a similar node prints one.',
  })
}

/** Of a disk that stands alone: its image says how it is started, and with which firmware. */
function imageFor(
  { store }: NodesContext,
  { rebaseTo }: AttachStorage,
  config: NodeConfig | null,
  { record }: Former,
  shown: string,
): Image {
  const { images } = store.data
  const wanted = config?.image ?? rebaseTo ?? record?.imageId
  const found = images.find(({ id }) => id === wanted)
  if (found) return found
  const names = images.map(({ id }) => id).slice(0, 20)
  const fields = { candidates: images.map(({ id, title }) => ({ id, title })).slice(0, 20) }
  if (wanted !== undefined) {
    throw new SandlabError(
      'base_missing',
      `${shown} was started as a node of the image ${wanted}, which is not here.`,
      {
        hint: `Import it, or say whose kernel and firmware start it (--rebase-to): ${names.join(', ') || 'there is no image yet'}.`,
        details: fields,
      },
    )
  }
  throw new SandlabError('bad_node_config', `${shown} stands alone: nothing tells how it is started.`, {
    hint: `Add \`image:\` to the config, an image that starts like it (${names.join(', ') || 'import one first'}); its data are not used.`,
    details: fields,
  })
}

/** The former owner, as long as there is one; else the one who asks. */
function ownerOf({ owners }: NodesContext, { ownerId }: AttachStorage, former: Former, actor: Actor): UserId {
  const before = former.ownerId !== null && owners.get(former.ownerId) ? former.ownerId : null
  return ownerId ?? before ?? userIdSchema.parse(actor.id)
}

async function drivesOf(
  context: NodesContext,
  { former, config, sameNode, at }: Origin,
  way: AttachIntent['way'],
  sidecars: ChainQuestion['sidecars'],
): Promise<FoundDrives> {
  if (former && sameNode) return formerDrives(context, former, sidecars)
  if (config) return configDrives(context, config, at, sidecars)
  const drives = way === 'layer' ? (former?.drives ?? []) : []
  const names = drives.map(({ id }) => id).join(', ')
  const warnings = drives.length > 0 ? [`Only its own disk is in this snapshot: its drives (${names}) are not.`] : []
  return { drives: [], made: [], layers: [], warnings }
}

/** The header names its base by the path from `overlays/`, and says its format: else it is rewritten. */
async function rebaseOf(
  { layout }: NodesContext,
  { backingName }: AttachSource,
  { image, backing, rebase }: FoundChain,
  way: AttachIntent['way'],
): Promise<AttachIntent['rebase']> {
  if (way === 'layer' || way === 'convert' || backingName === null) return null
  const layers = backing.kind === 'layer' ? [{ file: `layer_${backing.layerId}.qcow2` }] : []
  const expected = await backingNameOf(layout, image ?? undefined, { layers, base: image !== null, missing: null })
  if (expected === null || expected === '') return null
  return rebase || expected !== backingName ? { from: backingName, to: expected } : null
}

/** Of the node that comes back: its snapshots whose layers are all here. Of a snapshot's file: the snapshot itself. */
async function restoredSnapshots(
  context: NodesContext,
  record: NodeRecord,
  former: Former,
  isLayer: boolean,
  sidecars: ChainQuestion['sidecars'],
): Promise<{ snapshots: Snapshot[]; layers: Layer[] }> {
  const { layout, store } = context
  const known = new Set(store.data.snapshots.map(({ id }) => id))
  if (isLayer) {
    const own = former.layer?.snapshots.filter(({ id, disks }) => !known.has(id) && disks.length === 1) ?? []
    const isFree = !store.data.nodes.some(({ id }) => id === former.nodeId)
    const isNew = !store.data.layers.some(({ id }) => id === former.layer?.record.id)
    if (!isFree || !isNew) return { snapshots: [], layers: [] }
    return {
      snapshots: await withMemory(
        layout.overlays,
        own.map((one) => ({ ...one, nodeId: record.id, parentId: null })),
      ),
      layers: [],
    }
  }
  const { snapshots } = await readLayerSidecars(layout)
  const mine = snapshots.filter(({ id, nodeId }) => nodeId === record.id && !known.has(id))
  const whole: Snapshot[] = []
  const layers: Layer[] = []
  for (const snapshot of mine) {
    try {
      const needed = snapshot.disks.flatMap(({ layerId }) =>
        missingLayers(context, snapshot.name, { kind: 'layer', layerId }, sidecars),
      )
      layers.push(...needed)
      whole.push(snapshot)
    } catch {
      continue // one that is not whole stays a file; the node comes back without it
    }
  }
  return { snapshots: await withMemory(layout.overlays, whole), layers }
}

/** A guest's memory that is gone is forgotten: the disks are whole without it. */
async function withMemory(overlays: string, snapshots: readonly Snapshot[]): Promise<Snapshot[]> {
  return Promise.all(
    snapshots.map(async (one) => {
      const isThere = one.memory && (await usedBytes(`${overlays}/${memoryFileName(one.id)}`)) !== null
      return isThere ? one : { ...one, memory: null }
    }),
  )
}

/** A layer whose node is gone belongs to the one that is made of it. */
function adopted(layer: Layer, former: Former, record: NodeRecord): Layer {
  return layer.nodeId === former.nodeId ? { ...layer, nodeId: record.id } : layer
}

function sizeWarnings(
  former: NodeRecord | null,
  config: NodeConfig | null,
  diskBytes: number,
  isLayer: boolean,
): string[] {
  const told = [
    ...(former && !isLayer && former.diskBytes !== diskBytes ? [`the record beside it says ${former.diskBytes}`] : []),
    ...(config?.root?.sizeBytes != null && config.root.sizeBytes !== diskBytes
      ? [`the config says ${config.root.sizeBytes}`]
      : []),
  ]
  return told.map((what) => `The disk has ${diskBytes} bytes, ${what}: the disk is right.`)
}

function unique(layers: readonly Layer[]): Layer[] {
  return [...new Map(layers.map((layer) => [layer.id, layer])).values()]
}
