import type { Image } from '../../domain/image.js'
import { chainOf, type Layer } from '../../domain/layer.js'
import { imageFile, imageSidecarFile, layerSidecarFile, overlayApiPath } from '../../domain/layout.js'
import { sha256Of } from '../../images/file-blocks.js'
import { imageOf, type NodesContext } from '../../nodes/context.js'
import { imageSidecarSchema, layerSidecarSchema } from '../../state/sidecar-records.js'
import { openPlain } from '../../storage/layers.js'
import { unchangedFault } from '../../storage/overlay-faults.js'
import { backingNameOf } from '../../storage/overlays.js'
import { verifyContent } from '../../storage/verify-content.js'
import { verifyExists, verifyHeader, type RecordedFile, type Seen } from '../../storage/verify-disk.js'
import { verifySidecar } from '../../storage/verify-sidecar.js'
import { workerIdentity } from '../../system/identity.js'
import type { Looking } from './verify-node.js'

/** A base image: its files, its header, what it was when it was added, and at `full` its sha256. */
export async function verifyImage(
  { layout }: NodesContext,
  image: Image,
  { level, signal, content }: Looking,
  onBytes: (bytes: number) => void,
): Promise<Seen[]> {
  const file: RecordedFile = {
    path: imageFile(layout, image.file),
    name: `/images/${image.file}`,
    format: 'qcow2',
    sizeBytes: image.virtualSizeBytes,
    backing: null,
    access: 'read',
  }
  const seen = [await verifyExists(file)]
  for (const name of Object.keys(image.bootFiles)) {
    seen.push(await verifyExists({ path: imageFile(layout, name), name: `/images/${name}`, access: 'read' }))
  }
  if (level === 'files') return seen
  const present = new Set(seen.filter(({ ok }) => ok).map(({ path }) => path))
  if (present.has(file.name)) {
    const changed = await unchangedFault(file.path, image.fingerprint, workerIdentity())
    const message =
      changed?.replace('since the node was made', 'since it was added') ?? 'is as it was when it was added'
    seen.push(...(await verifyHeader(file)))
    seen.push({ check: 'fingerprint', path: file.name, ok: changed === undefined, message })
  }
  const record = image
  const path = imageSidecarFile(layout, image.id)
  seen.push(await verifySidecar({ path, name: `/images/${image.id}.image.json`, schema: imageSidecarSchema, record }))
  if (level !== 'full') return seen
  for (const [name, sha256] of Object.entries({ ...image.bootFiles, [image.file]: image.fingerprint.sha256 })) {
    if (!present.has(`/images/${name}`)) continue
    seen.push(await content.run(() => verifySum(imageFile(layout, name), `/images/${name}`, sha256, signal, onBytes)))
  }
  return seen
}

async function verifySum(
  path: string,
  name: string,
  expected: string,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<Seen> {
  signal.throwIfAborted()
  let done = 0
  const told = (bytes: number) => {
    onBytes(bytes - done)
    done = bytes
  }
  try {
    const file = await openPlain(path)
    try {
      const actual = await sha256Of(file, (await file.stat()).size, { signal, onBytes: told })
      const ok = actual === expected
      const message = ok ? 'sha256 is as recorded' : `its sha256 is ${actual}, its record says ${expected}`
      return { check: 'content', path: name, ok, message }
    } finally {
      await file.close()
    }
  } catch (error) {
    signal.throwIfAborted()
    const why = error instanceof Error ? error.message : String(error)
    return { check: 'content', path: name, ok: false, message: `can't be read: ${why}` }
  }
}

/** A frozen layer: all that it holds must be as it was, for every disk and snapshot that stands on it. */
export async function verifyLayer(context: NodesContext, layer: Layer, looking: Looking): Promise<Seen[]> {
  const { layout, store } = context
  const isOfDrive = layer.driveId !== 'root'
  const chain = chainOf(store.data.layers, layer.backing)
  const file: RecordedFile = {
    path: `${layout.overlays}/${layer.file}`,
    name: overlayApiPath(layer.file),
    format: 'qcow2',
    sizeBytes: layer.diskBytes,
    backing: await backingNameOf(layout, imageOf(context, layer.imageId), {
      ...chain,
      base: chain.base && !isOfDrive,
    }),
    access: 'read',
  }
  const exists = await verifyExists(file)
  if (!exists.ok || looking.level === 'files') return [exists]
  const changed = await unchangedFault(file.path, layer, workerIdentity())
  const message =
    changed?.replace('since the node was made', 'since it was frozen') ?? 'is as it was when it was frozen'
  const header = await verifyHeader(file)
  const seen: Seen[] = [
    exists,
    ...header,
    { check: 'fingerprint', path: file.name, ok: changed === undefined, message },
  ]
  const [path, name] = [layerSidecarFile(layout, layer.id), overlayApiPath(`layer_${layer.id}.json`)]
  seen.push(await verifySidecar({ path, name, schema: layerSidecarSchema, record: layer }))
  if (looking.level !== 'full' || header.some(({ ok, check }) => !ok && check === 'header')) return seen
  return [...seen, await looking.content.run(() => verifyContent(file.path, file.name, looking.signal))]
}
