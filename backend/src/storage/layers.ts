import { constants, type Stats } from 'node:fs'
import { link, lstat, mkdir, open, rename, rm, unlink, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { SandlabError } from '../domain/error.js'
import type { Layer } from '../domain/layer.js'
import { layerFile, layerFileName, layerSidecarFile, type Layout } from '../domain/layout.js'
import type { LayerSidecar } from '../state/sidecar-records.js'
import { errnoOf, fsyncDirectory, storageFailure, writeFileDurably } from '../system/durable-file.js'
import { writeQcow2Overlay } from '../system/qcow2-overlay.js'
import { readQcow2Header } from '../system/qcow2.js'

/** What a layer's record keeps of its file, to tell later that it is still the same. */
export type LayerFacts = Pick<Layer, 'sizeBytes' | 'mtimeMs'>

export interface LayerPlan {
  layout: Layout
  /** The disk that becomes the layer: a file name in `overlays/`. */
  file: string
  layerId: string
  /** A name on the overlays' file system for the new disk while it is made. */
  staging: string
  virtualSizeBytes: number
}

/**
 * How far the layer of an operation has come: `absent`; `linked`: the disk has the layer's name, too; `switched`: a fresh
 * disk over it has the disk's name; `copied`: it is a file of its own and the disk has nothing to do with it.
 */
export async function layerProgress(
  layout: Layout,
  file: string,
  layerId: string,
): Promise<'absent' | 'linked' | 'switched' | 'copied'> {
  const [layer, disk] = await Promise.all([look(layerFile(layout, layerId)), look(join(layout.overlays, file))])
  if (!layer) return 'absent'
  if (!disk) return 'copied'
  if (layer.ino === disk.ino) return 'linked'
  const header = await readQcow2Header(join(layout.overlays, file))
  return header.backingFile === layerFileName(layerId) ? 'switched' : 'copied'
}

/**
 * Turns a stopped node's disk into a layer, and gives its name to an empty disk over it. The disk has both names before
 * its own is given to the new one: at no moment is a name without a whole disk. Call alone on the node; may be called
 * again after a kill. Throws `no_space`, `state_io`; what was begun is for `turnBack`.
 */
export async function turnIntoLayer(plan: LayerPlan): Promise<LayerFacts> {
  const { layout, file, layerId } = plan
  try {
    if ((await layerProgress(layout, file, layerId)) === 'absent') {
      await link(join(layout.overlays, file), layerFile(layout, layerId))
      await fsyncDirectory(layout.overlays)
    }
    if ((await layerProgress(layout, file, layerId)) === 'linked') await giveFreshDisk(plan)
    return await protectLayer(layout, layerId)
  } catch (error) {
    throw storageFailure(`make a layer of ${file}`, error)
  }
}

async function giveFreshDisk({ layout, file, layerId, staging, virtualSizeBytes }: LayerPlan): Promise<void> {
  const disk = join(layout.overlays, file)
  await makeFreshDisk({ like: disk, staging, backingFile: layerFileName(layerId), virtualSizeBytes })
  await rename(staging, disk)
}

export interface FreshDisk {
  /** A disk whose user the new one belongs to. */
  like: string
  staging: string
  /** As it is to stand in the header. */
  backingFile: string
  virtualSizeBytes: number
}

/** Writes an empty, fsynced disk under a staging name, in the place of whatever was there. */
export async function makeFreshDisk({ like, staging, backingFile, virtualSizeBytes }: FreshDisk): Promise<void> {
  const { uid, gid } = await lstat(like)
  await mkdir(dirname(staging), { recursive: true, mode: 0o700 })
  await rm(staging, { force: true })
  const owner = process.getuid?.() === 0 ? { uid, gid } : undefined
  await writeQcow2Overlay(staging, { backingFile, virtualSizeBytes }, { owner })
}

/** What is in a layer never changes again: fsynced, ours, readable for all. Its name is, once its record is written. */
export function protectLayer(layout: Layout, layerId: string): Promise<LayerFacts> {
  return protectFile(layerFile(layout, layerId))
}

/** The same for a file that has not the layer's name yet. */
export async function protectFile(path: string): Promise<LayerFacts> {
  const file = await openPlain(path)
  try {
    await file.sync()
    if (process.getuid?.() === 0) await file.chown(0, 0)
    await file.chmod(0o444)
    const { size, mtimeMs } = await file.stat()
    return { sizeBytes: size, mtimeMs: Math.floor(mtimeMs) }
  } finally {
    await file.close()
  }
}

/**
 * Takes back `turnIntoLayer`, however far it came, or a copied layer: the disk is again what it was, and the layer is
 * gone. Throws `state_io` when the fresh disk was written to meanwhile: then nothing is touched.
 */
export async function turnBack(layout: Layout, file: string, layerId: string): Promise<void> {
  const progress = await layerProgress(layout, file, layerId)
  const layer = layerFile(layout, layerId)
  const disk = join(layout.overlays, file)
  if (progress === 'switched') {
    if (!(await isUntouched(disk))) {
      throw new SandlabError('state_io', `${basename(disk)} was written to meanwhile: it is left as it is.`)
    }
    const { uid, gid } = await lstat(disk)
    await rename(layer, disk)
    await giveBack(disk, uid, gid)
  } else if (progress === 'linked') {
    const { uid, gid } = await lstat(disk)
    await unlink(layer)
    await giveBack(disk, uid, gid)
  }
  await discardLayer(layout, layerId)
}

/** Writable for its owner again. */
async function giveBack(disk: string, uid: number, gid: number): Promise<void> {
  const file = await openPlain(disk)
  try {
    if (process.getuid?.() === 0) await file.chown(uid, gid)
    await file.chmod(0o600)
  } finally {
    await file.close()
  }
}

/** Removes file and record of a layer that nothing stands on. Absent is success. */
export async function discardLayer(layout: Layout, layerId: string): Promise<void> {
  const staged = stagedLayer(layout, layerId)
  for (const path of [staged, `${staged}.part`, layerFile(layout, layerId), layerSidecarFile(layout, layerId)]) {
    await rm(path, { force: true })
  }
  await fsyncDirectory(layout.overlays)
}

/** Where a copied layer is written: beside its later name, so that what its header names is found from there. */
export const stagedLayer = (layout: Layout, layerId: string) => join(layout.overlays, `.${layerFileName(layerId)}.tmp`)

/** Writes the layer's record beside its file, durably: a lost state file is rebuilt from these. */
export function writeLayerSidecar(
  layout: Layout,
  layer: Layer,
  { nodeName, snapshots }: Pick<LayerSidecar, 'nodeName' | 'snapshots'>,
): Promise<void> {
  const sidecar: LayerSidecar = { kind: 'sandlabx-layer', schema: 1, record: layer, nodeName, snapshots }
  return writeFileDurably(layerSidecarFile(layout, layer.id), `${JSON.stringify(sidecar, undefined, 2)}\n`)
}

/** Whether no guest has written anything to a disk: its map names nothing. Throws `image_refused` for a broken header. */
export async function isUntouched(disk: string): Promise<boolean> {
  const file = await openPlain(disk)
  try {
    const { l1TableOffset, l1Size, snapshotCount } = await readQcow2Header(file)
    const table = Buffer.alloc(l1Size * 8)
    await file.read(table, 0, table.length, l1TableOffset)
    return snapshotCount === 0 && table.every((byte) => byte === 0)
  } finally {
    await file.close()
  }
}

/** Opens what a guest's QEMU may have had in its hands: never a link, a pipe or a device. */
export async function openPlain(path: string): Promise<FileHandle> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  const found = await file.stat()
  if (found.isFile()) return file
  await file.close()
  throw new SandlabError('node_broken', `${basename(path)} is not a plain file.`)
}

function look(path: string): Promise<Stats | undefined> {
  return lstat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  })
}
