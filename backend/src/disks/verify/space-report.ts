import { stat } from 'node:fs/promises'
import type { DriveRecord } from '../../domain/drive.js'
import type { Image } from '../../domain/image.js'
import type { Layer } from '../../domain/layer.js'
import {
  ephemeralDir,
  imageFile,
  imageSidecarFile,
  imageStagingDir,
  layerSidecarFile,
  liveLayersDir,
  memoryFile,
  overlayStagingDir,
  quarantineDir,
  recordingsDir,
  sidecarFile,
  trashDir,
  uefiVariablesFile,
} from '../../domain/layout.js'
import type { NodeRecord } from '../../domain/node.js'
import type { Snapshot } from '../../domain/snapshot.js'
import type { SpaceReport } from '../../domain/storage.js'
import type { NodesContext } from '../../nodes/context.js'
import { createUsageCounter, type UsageCounter } from '../../storage/disk-usage.js'
import { drivePath } from '../../storage/drive-files.js'
import { freeSpace, measureSpace } from '../../storage/space.js'
import { findDiscardable } from '../orphans/orphans.js'

/** How long one answer serves all who ask: the page asks at each change. */
const KEPT_MS = 5000

/** Where the room on the disks is. Whoever asks within seconds shares one look. */
export function createSpaceReports(context: NodesContext): () => Promise<SpaceReport> {
  let last: { at: number; report: Promise<SpaceReport> } | undefined
  return () => {
    const now = performance.now()
    if (last && now - last.at < KEPT_MS) return last.report
    const report = lookAtSpace(context)
    last = { at: now, report }
    report.catch(() => (last = undefined)) // the next one looks again
    return report
  }
}

/** Each file is counted once: under what names it, images before layers before nodes. */
export async function lookAtSpace(context: NodesContext): Promise<SpaceReport> {
  const { layout, store } = context
  const { data } = store
  const counter = createUsageCounter()
  const images = await Promise.all(data.images.map((image) => imageSpace(context, image, counter)))
  const snapshots = await snapshotSpace(context, counter)
  const nodes = await Promise.all(data.nodes.map((node) => nodeSpace(context, node, counter)))
  const trashBytes = await counter.folder(trashDir(layout))
  const orphans = await findDiscardable(context)
  const orphanBytes = await sum(orphans.map(({ disk }) => counter.file(`${layout[disk.place]}/${disk.name}`)))
  const folders = [overlayStagingDir, liveLayersDir, ephemeralDir, imageStagingDir, quarantineDir]
  const stagingBytes = await sum(folders.map((folder) => counter.folder(folder(layout))))
  const recordingsBytes = await counter.folder(recordingsDir(layout))
  const fileSystems = await fileSystemsOf(context)
  return {
    at: context.now().toISOString(),
    fileSystems,
    nodes,
    images,
    snapshots,
    trashBytes,
    orphanBytes,
    stagingBytes,
    recordingsBytes,
    overcommit: overcommitOf(nodes, fileSystems[0]?.freeBytes ?? 0),
  }
}

async function imageSpace({ layout, store }: NodesContext, image: Image, counter: UsageCounter) {
  const names = [image.file, ...Object.keys(image.bootFiles)].map((name) => imageFile(layout, name))
  const usedBytes = await sum([...names, imageSidecarFile(layout, image.id)].map(counter.file))
  const nodes = store.data.nodes.filter(({ imageId }) => imageId === image.id).length
  return { id: image.id, title: image.title, usedBytes, nodes }
}

/** A layer belongs to the oldest snapshot that keeps it; one that none keeps is an entry by itself. */
async function snapshotSpace({ layout, store }: NodesContext, counter: UsageCounter) {
  const { layers, snapshots, nodes } = store.data
  const nodeName = (id: string) => nodes.find((node) => node.id === id)?.name ?? ''
  const owned = new Map<string, { snapshot: Snapshot; layers: Layer[] }>()
  const unnamed: Layer[] = []
  const oldestFirst = snapshots.toSorted((one, other) => one.createdAt.localeCompare(other.createdAt))
  for (const snapshot of oldestFirst) owned.set(snapshot.id, { snapshot, layers: [] })
  const keeper = new Map<string, string>()
  for (const { id, disks } of oldestFirst) {
    for (const { layerId } of disks) if (!keeper.has(layerId)) keeper.set(layerId, id)
  }
  for (const layer of layers) (owned.get(keeper.get(layer.id) ?? '')?.layers ?? unnamed).push(layer)
  const standing = standingOn(store.data)
  const bytes = (some: readonly Layer[]) =>
    sum(some.flatMap(({ id, file }) => [`${layout.overlays}/${file}`, layerSidecarFile(layout, id)]).map(counter.file))
  const named = [...owned.values()].map(async ({ snapshot, layers: own }) => ({
    id: snapshot.id,
    name: snapshot.name,
    nodeName: nodeName(snapshot.nodeId),
    usedBytes: (await bytes(own)) + (snapshot.memory ? await counter.file(memoryFile(layout, snapshot.id)) : 0),
    shared: snapshot.disks.some(({ layerId }) => isShared(standing.get(layerId), snapshot.nodeId)),
  }))
  const nameless = unnamed.map(async (layer) => ({
    id: layer.id,
    name: '',
    nodeName: nodeName(layer.nodeId),
    usedBytes: await bytes([layer]),
    shared: isShared(standing.get(layer.id), layer.nodeId),
  }))
  return Promise.all([...named, ...nameless])
}

/** Layer → whose disks and layers stand right on it. */
function standingOn({ nodes, layers }: NodesContext['store']['data']): Map<string, Set<string>> {
  const standing = new Map<string, Set<string>>()
  const disks = [
    ...nodes.flatMap(({ id, backing, drives }) =>
      [backing, ...drives.map((drive) => drive.backing)].map((b) => [id, b] as const),
    ),
    ...layers.map(({ nodeId, backing }) => [nodeId, backing] as const),
  ]
  for (const [nodeId, backing] of disks) {
    if (backing.kind !== 'layer') continue
    standing.set(backing.layerId, (standing.get(backing.layerId) ?? new Set()).add(nodeId))
  }
  return standing
}

/** Something of another node needs it. */
function isShared(standing: ReadonlySet<string> | undefined, nodeId: string): boolean {
  return [...(standing ?? [])].some((id) => id !== nodeId)
}

async function nodeSpace({ layout, owners }: NodesContext, node: NodeRecord, counter: UsageCounter) {
  const own = [
    `${layout.overlays}/${node.overlayFile}`,
    sidecarFile(layout, node.id),
    uefiVariablesFile(layout, node.id),
    ...(node.suspended ? [`${layout.overlays}/${node.suspended.memoryFile}`] : []),
  ]
  const writable = node.drives.filter(({ readOnly }) => !readOnly)
  return {
    id: node.id,
    name: node.name,
    ownerLogin: owners.get(node.ownerId)?.login ?? 'former user',
    usedBytes: await sum(own.map(counter.file)),
    drivesBytes: await sum(node.drives.map((drive: DriveRecord) => counter.file(drivePath(layout, drive)))),
    virtualBytes: node.diskBytes + writable.reduce((total, { sizeBytes }) => total + sizeBytes, 0),
  }
}

/** The disks' own first; folders on the same file system are one. */
async function fileSystemsOf({ layout }: NodesContext): Promise<SpaceReport['fileSystems']> {
  const found = new Map<number, SpaceReport['fileSystems'][number]>()
  for (const path of [layout.overlays, layout.images, layout.state]) {
    const { dev } = await stat(path)
    if (found.has(dev)) continue
    const { totalBytes, freeBytes } = await freeSpace(path)
    const [need] = await measureSpace([{ path, bytes: 0 }])
    found.set(dev, { path, totalBytes, freeBytes, reservedBytes: need?.reservedBytes ?? 0 })
  }
  return [...found.values()]
}

/** What disks may grow to, over what they hold and what is free. */
function overcommitOf(nodes: SpaceReport['nodes'], freeBytes: number): number {
  const promised = nodes.reduce((total, { virtualBytes }) => total + virtualBytes, 0)
  const room = nodes.reduce((total, { usedBytes, drivesBytes }) => total + usedBytes + drivesBytes, freeBytes)
  return room === 0 ? 0 : promised / room
}

async function sum(sizes: readonly Promise<number>[]): Promise<number> {
  return (await Promise.all(sizes)).reduce((total, bytes) => total + bytes, 0)
}
