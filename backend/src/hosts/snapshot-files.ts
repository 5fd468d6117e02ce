import type { Stats } from 'node:fs'
import { link, lstat, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Layout } from '../domain/layout.js'
import { isUntouched, openPlain, protectFile } from '../storage/layers.js'
import { errnoOf, fsyncDirectory } from '../system/durable-file.js'
import { writeQcow2Overlay } from '../system/qcow2-overlay.js'
import { readQcow2Header } from '../system/qcow2.js'
import { EngineError } from './engine.js'
import type { SnapshotDisk, SnapshotRequest } from './engine-disks.js'

/**
 * The names of a live snapshot, in the order in which they change (docs/adr/0010-live-snapshots.md):
 *
 * | step | disk | layer | fresh | what holds after a kill |
 * |---|---|---|---|---|
 * | `stageFresh` | old | | empty | `none`: the fresh file goes |
 * | `nameLayers` | old | old | empty | `perhaps`: QEMU may write to the fresh file from here on |
 * | `goForward` | fresh | old | | `done` |
 *
 * In doubt always forward: an empty fresh file over the layer equals the old disk, a written one must not be lost.
 */
export type FilesProgress = 'none' | 'perhaps' | 'done'

export type SnapshotFiles = Pick<SnapshotRequest, 'disks' | 'memoryFile'>

export const inOverlays = (layout: Layout, file: string) => join(layout.overlays, file)

/** What the names alone say. Throws `broken` when they contradict each other. */
export async function filesProgress(layout: Layout, disks: readonly SnapshotDisk[]): Promise<FilesProgress> {
  const each = await Promise.all(disks.map((disk) => diskProgress(layout, disk)))
  if (each.every((progress) => progress === 'done')) return 'done'
  if (!each.includes('none')) return 'perhaps'
  if (!each.includes('done')) return 'none'
  throw new EngineError('broken', 'Some of its disks have their snapshot and others have not.')
}

async function diskProgress(layout: Layout, names: SnapshotDisk): Promise<FilesProgress> {
  const [disk, layer, fresh] = await Promise.all(
    [names.file, names.layerFile, names.freshFile].map((name) => look(inOverlays(layout, name))),
  )
  if (!layer) return 'none'
  if (!disk) throw new EngineError('broken', `Its disk ${names.file} is missing.`)
  if (layer.ino !== disk.ino) return 'done'
  return fresh ? 'perhaps' : 'none'
}

/** Makes the empty overlays, durable, each of its disk's user. Throws `conflict` where a name is taken; leaves nothing. */
export async function stageFresh(layout: Layout, disks: readonly SnapshotDisk[]): Promise<void> {
  for (const { layerFile, freshFile } of disks) {
    for (const name of [layerFile, freshFile]) {
      if (await look(inOverlays(layout, name))) throw new EngineError('conflict', `There is a ${name} already.`)
    }
  }
  try {
    for (const disk of disks) await makeFresh(layout, disk)
    for (const folder of foldersOf(layout, disks)) await fsyncDirectory(folder)
  } catch (error) {
    for (const { freshFile } of disks) await rm(inOverlays(layout, freshFile), { force: true })
    throw error
  }
}

async function makeFresh(layout: Layout, { file, layerFile, freshFile }: SnapshotDisk): Promise<void> {
  const { uid, gid, nlink } = await lstat(inOverlays(layout, file))
  if (nlink !== 1) throw new EngineError('broken', `${file} has a second name: an earlier snapshot is not finished.`)
  const disk = await openPlain(inOverlays(layout, file))
  try {
    const { virtualSizeBytes } = await readQcow2Header(disk)
    const owner = process.getuid?.() === 0 ? { uid, gid } : undefined
    await writeQcow2Overlay(inOverlays(layout, freshFile), { backingFile: layerFile, virtualSizeBytes }, { owner })
  } finally {
    await disk.close()
  }
}

/** Gives each disk its layer's name, too. */
export async function nameLayers(layout: Layout, disks: readonly SnapshotDisk[]): Promise<void> {
  for (const { file, layerFile } of disks) await link(inOverlays(layout, file), inOverlays(layout, layerFile))
  await fsyncDirectory(layout.overlays)
}

/** The fresh overlays take the disks' names, the layers are made read-only and ours. May be called again. */
export async function goForward(layout: Layout, disks: readonly SnapshotDisk[]): Promise<void> {
  for (const disk of disks) {
    if ((await diskProgress(layout, disk)) === 'done') continue
    await rename(inOverlays(layout, disk.freshFile), inOverlays(layout, disk.file))
  }
  for (const folder of foldersOf(layout, disks)) await fsyncDirectory(folder)
  for (const { layerFile } of disks) await protectFile(inOverlays(layout, layerFile))
}

/**
 * All names as they were. May be called again. Throws `broken`, and touches nothing, when a guest has written to a fresh
 * overlay after all.
 */
export async function goBack(layout: Layout, { disks, memoryFile }: SnapshotFiles): Promise<void> {
  for (const { layerFile, freshFile } of disks) {
    const [layer, fresh] = [inOverlays(layout, layerFile), inOverlays(layout, freshFile)]
    // Without the layer's name it may not even be whole yet.
    if (!(await look(layer)) || !(await look(fresh)) || (await isUntouched(fresh))) continue
    throw new EngineError('broken', `${freshFile} was written to: it is left as it is.`)
  }
  for (const { file, layerFile, freshFile } of disks) {
    const [disk, layer] = await Promise.all([file, layerFile].map((name) => look(inOverlays(layout, name))))
    if (layer && layer.ino === disk?.ino) await rm(inOverlays(layout, layerFile))
    await rm(inOverlays(layout, freshFile), { force: true })
  }
  await dropMemory(layout, memoryFile)
  for (const folder of foldersOf(layout, disks)) await fsyncDirectory(folder)
}

/** Where memory is written before it is whole. */
export const partOf = (path: string) => `${path}.part`

export async function dropMemory(layout: Layout, memoryFile: string | undefined): Promise<void> {
  if (memoryFile === undefined) return
  const path = inOverlays(layout, memoryFile)
  for (const name of [path, partOf(path)]) await rm(name, { force: true })
}

function foldersOf(layout: Layout, disks: readonly SnapshotDisk[]): Set<string> {
  return new Set([layout.overlays, ...disks.map(({ freshFile }) => dirname(inOverlays(layout, freshFile)))])
}

function look(path: string): Promise<Stats | undefined> {
  return lstat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  })
}
