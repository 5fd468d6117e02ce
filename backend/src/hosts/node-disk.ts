import type { ImageId } from '../domain/ids.js'
import { imageFile, type Layout } from '../domain/layout.js'
import { createOverlay, inspectOverlay, trashOverlay } from '../storage/overlays.js'
import { readQcow2Header } from '../system/qcow2.js'
import { isSandlabError } from '../domain/error.js'
import { EngineError, type NodeSpec } from './engine.js'

/** What is wrong with a node's disk or its base, as a sentence; undefined when it can be started. */
export async function diskFault(layout: Layout, spec: NodeSpec): Promise<string | undefined> {
  const root = rootOf(spec)
  const imageId = spec.base.file as ImageId // only named in the reason
  const record = { id: spec.id, imageId, overlayFile: root.file, base: spec.base.fingerprint }
  const image = { file: spec.base.file, fingerprint: spec.base.fingerprint }
  const found = await inspectOverlay(layout, { ...record, diskBytes: root.sizeBytes }, image)
  return found.ok ? undefined : found.reason
}

/** Makes the root disk. One that is there already and fits is success; one that does not fit is `conflict`. */
export async function ensureDisk(layout: Layout, spec: NodeSpec): Promise<void> {
  const base = await readQcow2Header(imageFile(layout, spec.base.file)).catch((cause: unknown) => {
    throw new EngineError('broken', `Its base image ${spec.base.file} can't be read.`, { cause })
  })
  try {
    await createOverlay({
      layout,
      nodeId: spec.id,
      imageFile: spec.base.file,
      virtualSizeBytes: rootOf(spec).sizeBytes,
      baseVirtualSizeBytes: base.virtualSizeBytes,
    })
  } catch (error) {
    if (!isSandlabError(error, 'busy')) throw error
    const fault = await diskFault(layout, spec)
    if (fault !== undefined) throw new EngineError('conflict', fault, { cause: error })
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
