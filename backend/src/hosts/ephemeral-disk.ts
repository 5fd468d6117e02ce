import { lstat, mkdir, readdir, realpath, rm } from 'node:fs/promises'
import { dirname, relative } from 'node:path'
import { nodeIdSchema, type NodeId } from '../domain/ids.js'
import { ephemeralDir, ephemeralFile, imageFile, uefiVariablesFile, type Layout } from '../domain/layout.js'
import { errnoOf } from '../system/durable-file.js'
import { workerIdentity } from '../system/identity.js'
import { writeQcow2Overlay } from '../system/qcow2-overlay.js'
import { EngineError, type NodeSpec } from './engine.js'

/**
 * The root disk of an ephemeral node: the engine's own, over what the node is to boot, which is only read. No record names
 * it, nobody lists it, and it goes with the node. One that is there already is success.
 */
export async function makeEphemeralDisk(layout: Layout, spec: NodeSpec): Promise<void> {
  const root = spec.disks.find((disk) => disk.role === 'root')
  if (!root) throw new EngineError('broken', 'The node has no root disk.')
  const { layers, base } = spec.backing ?? { layers: [], base: true }
  if (layers.length === 0 && !base) throw new EngineError('broken', 'An ephemeral node boots nothing.')
  const path = ephemeralFile(layout, spec.id)
  const folder = dirname(path)
  await mkdir(folder, { recursive: true, mode: 0o711 })
  const below = layers[0] === undefined ? imageFile(layout, spec.base.file) : `${layout.overlays}/${layers[0]}`
  const backingFile = relative(await realpath(folder), await realpath(below))
  try {
    await writeQcow2Overlay(path, { backingFile, virtualSizeBytes: root.sizeBytes }, { owner: workerIdentity() })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
  }
}

/** Absent is success, also for a node that is not ephemeral. */
export async function removeEphemeralDisk(layout: Layout, id: NodeId): Promise<void> {
  const path = ephemeralFile(layout, id)
  const isThere = await lstat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  })
  if (!isThere) return
  await rm(uefiVariablesFile(layout, id), { force: true }) // first: the disk says whose they were
  await rm(path, { force: true })
}

/** At the engine's start: disks of ephemeral nodes that ended without us. `live`: those that still run. */
export async function sweepEphemeralDisks(layout: Layout, live: (id: NodeId) => boolean): Promise<void> {
  for (const name of await names(layout)) {
    const { data: id } = nodeIdSchema.safeParse(name.replace(/\.qcow2$/, ''))
    if (id !== undefined && live(id)) continue
    if (id !== undefined) await rm(uefiVariablesFile(layout, id), { force: true })
    await rm(`${ephemeralDir(layout)}/${name}`, { force: true })
  }
}

async function names(layout: Layout): Promise<string[]> {
  return readdir(ephemeralDir(layout)).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
}
