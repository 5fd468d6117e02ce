import { basename } from 'node:path'
import type { ImageId } from '../domain/ids.js'
import { imageFile, overlayApiPath, type Layout } from '../domain/layout.js'
import { driveFault } from '../storage/drive-faults.js'
import { createOverlay, inspectOverlay, trashOverlay } from '../storage/overlays.js'
import type { Identity } from '../system/identity.js'
import { readQcow2Header } from '../system/qcow2.js'
import { isSandlabError } from '../domain/error.js'
import { EngineError, type NodeSpec } from './engine.js'
import { makeEphemeralDisk } from './ephemeral-disk.js'

/** What is wrong with a node's disk or its base, as a sentence; undefined when it can be started. */
export async function diskFault(layout: Layout, spec: NodeSpec): Promise<string | undefined> {
  if (spec.ephemeral) return undefined // just made, by us, over what its maker has looked at
  const root = rootOf(spec)
  const imageId = spec.base.file as ImageId // only named in the reason
  const record = { id: spec.id, imageId, overlayFile: root.file, base: spec.base.fingerprint }
  const image = { file: spec.base.file, fingerprint: spec.base.fingerprint }
  const { layers, base } = spec.backing ?? { layers: [], base: true }
  const chain = { layers: layers.map((file) => ({ file })), base, missing: null }
  const found = await inspectOverlay(layout, { ...record, diskBytes: root.sizeBytes }, image, chain)
  return found.ok ? undefined : found.reason
}

/** What is wrong with one of a node's further drives, for the user that is about to open it; undefined when nothing is. */
export async function dataDiskFault(
  layout: Layout,
  spec: NodeSpec,
  user: Identity | undefined,
): Promise<string | undefined> {
  for (const disk of spec.disks.filter(({ role }) => role === 'data')) {
    const fault = await driveFault(layout, {
      id: disk.id,
      path: disk.path ?? `${layout.overlays}/${disk.file}`,
      shown: disk.path ?? overlayApiPath(disk.file),
      format: disk.format ?? 'qcow2',
      sizeBytes: disk.path === undefined ? disk.sizeBytes : null,
      readOnly: disk.readOnly,
      chain: { layers: (disk.backing?.layers ?? []).map((file) => ({ file })), base: false, missing: null },
      foreign: disk.path !== undefined,
      user,
    })
    if (fault) return fault.reason
  }
  return undefined
}

/** Makes the root disk. One that is there already and fits is success; one that does not fit is `conflict`. */
export async function ensureDisk(layout: Layout, spec: NodeSpec): Promise<void> {
  if (spec.ephemeral) return makeEphemeralDisk(layout, spec)
  if (await makeDisk(layout, spec)) return
  const fault = await diskFault(layout, spec)
  if (fault !== undefined) throw new EngineError('conflict', fault)
}

/** False when there is one already, and for a disk that stands alone: that was made by whoever copied it. */
async function makeDisk(layout: Layout, spec: NodeSpec): Promise<boolean> {
  const { layers, base } = spec.backing ?? { layers: [], base: true }
  const layerFile = layers[0]
  if (layerFile === undefined && !base) return false
  const below = layerFile === undefined ? imageFile(layout, spec.base.file) : `${layout.overlays}/${layerFile}`
  const { virtualSizeBytes: baseVirtualSizeBytes } = await readQcow2Header(below).catch((cause: unknown) => {
    const what = layerFile === undefined ? 'Its base image' : 'The layer'
    throw new EngineError('broken', `${what} ${basename(below)} can't be read.`, { cause })
  })
  const virtualSizeBytes = rootOf(spec).sizeBytes
  try {
    const overlay = { layout, nodeId: spec.id, imageFile: spec.base.file, layerFile }
    await createOverlay({ ...overlay, virtualSizeBytes, baseVirtualSizeBytes })
    return true
  } catch (error) {
    if (isSandlabError(error, 'busy')) return false
    throw error
  }
}

export async function trashDisk(layout: Layout, nodeId: string): Promise<void> {
  await trashOverlay(layout, nodeId)
}

function rootOf(spec: NodeSpec): NodeSpec['disks'][number] {
  const root = spec.disks.find((disk) => disk.role === 'root')
  if (!root) throw new EngineError('broken', 'The node has no root disk.')
  return root
}
