import { mkdir, open, readdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { nodeIdSchema, type NodeId } from '../domain/ids.js'
import { liveLayerFile, liveLayersDir, overlayFile, overlayFileName, type Layout } from '../domain/layout.js'
import { errnoOf, fsyncDirectory } from '../system/durable-file.js'
import { readQcow2Header } from '../system/qcow2.js'
import { writeQcow2Overlay } from '../system/qcow2-overlay.js'
import type { Identity } from '../system/identity.js'

/** `overlays/.live/live_<id>.qcow2`: the newest writes of a guest whose disk is frozen. Never removed unread. */
const LAYER = /^live_([0-9a-f-]{36})\.qcow2$/

/** Makes the empty file, durable with its name. Rejects with EEXIST when there is one: it may hold writes. */
export async function makeLayerFile(layout: Layout, id: NodeId, owner: Identity | undefined): Promise<string> {
  const folder = liveLayersDir(layout)
  const file = liveLayerFile(layout, id)
  await mkdir(folder, { recursive: true, mode: owner ? 0o711 : 0o700 })
  const { virtualSizeBytes } = await readQcow2Header(overlayFile(layout, id))
  try {
    await writeQcow2Overlay(file, { backingFile: `../${overlayFileName(id)}`, virtualSizeBytes }, { owner })
    await fsyncDirectory(folder)
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') await rm(file, { force: true })
    throw error
  }
  return file
}

/** For good: after a power cut, too, it does not come back with writes that are no longer the newest. */
export async function removeLayerFile(layout: Layout, id: NodeId): Promise<void> {
  await rm(liveLayerFile(layout, id), { force: true })
  await fsyncDirectory(liveLayersDir(layout)).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error
  })
}

/** Nodes that have such a file. */
export async function listLayers(layout: Layout): Promise<NodeId[]> {
  const names = await readdir(liveLayersDir(layout)).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  return names.flatMap((name) => nodeIdSchema.safeParse(LAYER.exec(name)?.[1]).data ?? [])
}

export async function hasLayer(layout: Layout, id: NodeId): Promise<boolean> {
  return (await listLayers(layout)).includes(id)
}

/** What is dirty goes to the disk now, so that QEMU's own flush, for which the guest has to wait, finds little to do. */
export async function flushAhead(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.datasync()
  } finally {
    await file.close()
  }
}

export async function syncOverlay(layout: Layout, id: NodeId): Promise<void> {
  const path = overlayFile(layout, id)
  await flushAhead(path)
  await fsyncDirectory(dirname(path))
}
