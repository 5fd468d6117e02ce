import { chainOf, type Chain } from '../../domain/layer.js'
import { imageFile, overlayApiPath, sidecarFile } from '../../domain/layout.js'
import type { DriveRecord } from '../../domain/drive.js'
import type { NodeRecord } from '../../domain/node.js'
import { snapshotsOf } from '../../domain/snapshot.js'
import type { VerifyLevel } from '../../domain/storage.js'
import { imageOf, type NodesContext } from '../../nodes/context.js'
import { nodeSidecarSchema } from '../../state/sidecar-records.js'
import { driveApiPath, drivePath } from '../../storage/drive-files.js'
import { look, unchangedFault } from '../../storage/overlay-faults.js'
import { backingNameOf } from '../../storage/overlays.js'
import { verifyContent } from '../../storage/verify-content.js'
import { verifyExists, verifyHeader, type RecordedFile, type Seen } from '../../storage/verify-disk.js'
import { verifySidecar } from '../../storage/verify-sidecar.js'
import type { Limiter } from '../../system/limiter.js'
import { workerIdentity } from '../../system/identity.js'

/** How closely one looks, and what bounds it. */
export interface Looking {
  level: VerifyLevel
  signal: AbortSignal
  /** Shared by all that read whole disks. */
  content: Limiter
}

/** What only tells what happened; the file is written after the state, and now and then less often. */
const HISTORY = ['events', 'updatedAt']
/** A look that an action of ours came between says nothing. */
const LOOKS = 4
const BETWEEN_LOOKS_MS = 250

/**
 * Everything that a node's record names, against what is there. Changes nothing. When something else changes the node
 * meanwhile, it is looked at again. Throws when aborted.
 */
export async function verifyNode(context: NodesContext, id: string, looking: Looking): Promise<Seen[]> {
  let seen: Seen[] = []
  for (let count = 0; count < LOOKS; count += 1) {
    looking.signal.throwIfAborted()
    const record = context.store.data.nodes.find((node) => node.id === id)
    if (!record) return [] // deleted meanwhile: nothing of it is named any more
    seen = await lookAt(context, record, looking)
    if (seen.every(({ ok }) => ok) || (count > 0 && isSettled(context, record))) return seen
    await new Promise((resolve) => setTimeout(resolve, count === 0 ? 0 : BETWEEN_LOOKS_MS))
  }
  return seen
}

function isSettled(context: NodesContext, record: NodeRecord): boolean {
  return context.locks.busy(record.id) === undefined && context.store.data.nodes.includes(record)
}

async function lookAt(context: NodesContext, record: NodeRecord, looking: Looking): Promise<Seen[]> {
  const { layers } = context.store.data
  const root = { file: await rootFile(context, record), chain: chainOf(layers, record.backing) }
  const drives = record.drives.map((drive) => ({
    file: driveFileOf(context, drive),
    chain: driveChain(context, drive),
  }))
  const seen: Seen[] = []
  for (const { file, chain } of [root, ...drives])
    seen.push(...(await lookAtDisk(context, record, file, chain, looking)))
  for (const snapshot of snapshotsOf(context.store.data, record.id)) {
    if (snapshot.memory) seen.push(await lookAtMemory(context, snapshot.memory))
  }
  const { suspended } = record
  if (suspended) seen.push(await lookAtMemory(context, { file: suspended.memoryFile, sizeBytes: suspended.sizeBytes }))
  if (looking.level !== 'files') {
    const path = sidecarFile(context.layout, record.id)
    const name = overlayApiPath(`node_${record.id}.json`)
    seen.push(await verifySidecar({ path, name, schema: nodeSidecarSchema, record, ignored: HISTORY }))
  }
  return seen
}

async function rootFile(context: NodesContext, record: NodeRecord): Promise<RecordedFile> {
  const { layout, store } = context
  const chain = chainOf(store.data.layers, record.backing)
  return {
    path: `${layout.overlays}/${record.overlayFile}`,
    name: overlayApiPath(record.overlayFile),
    format: 'qcow2',
    sizeBytes: record.diskBytes,
    backing: await backingNameOf(layout, imageOf(context, record.imageId), chain),
    access: 'write',
  }
}

function driveFileOf(context: NodesContext, drive: DriveRecord): RecordedFile {
  const [nearest] = driveChain(context, drive).layers
  return {
    path: drivePath(context.layout, drive),
    name: driveApiPath(context.layout, drive),
    format: drive.format,
    sizeBytes: drive.sizeBytes,
    backing: nearest?.file ?? (drive.backing.kind === 'layer' ? '' : null),
    access: drive.readOnly ? 'read' : 'write',
  }
}

/** A data drive never stands on a base image, whatever its lowest layer's record says of its node. */
function driveChain(context: NodesContext, drive: DriveRecord): Chain {
  return { ...chainOf(context.store.data.layers, drive.backing), base: false }
}

async function lookAtDisk(
  context: NodesContext,
  record: NodeRecord,
  file: RecordedFile,
  chain: Chain,
  looking: Looking,
): Promise<Seen[]> {
  const exists = await verifyExists(file)
  const below = await lookBelow(context, record, chain, looking.level)
  if (!exists.ok || looking.level === 'files') return [exists, ...below]
  const header = await verifyHeader(file)
  // What qemu-img would make of a header that is wrong is no news.
  const readable = header.every(({ ok, check }) => ok || check !== 'header')
  if (looking.level !== 'full' || file.format !== 'qcow2' || !readable) return [exists, ...header, ...below]
  return [exists, ...header, await lookInside(context, record, file, looking), ...below]
}

/** The layers and the base image under a disk: there, and as they were. */
async function lookBelow(
  { layout, store }: NodesContext,
  record: NodeRecord,
  chain: Chain,
  level: VerifyLevel,
): Promise<Seen[]> {
  const seen: Seen[] = []
  for (const layer of chain.layers) {
    const [path, name] = [`${layout.overlays}/${layer.file}`, overlayApiPath(layer.file)]
    const exists = await verifyExists({ path, name, access: 'read' })
    const fault = exists.ok && level !== 'files' ? await unchangedFault(path, layer, workerIdentity()) : undefined
    seen.push(fault === undefined ? exists : { check: 'chain', path: name, ok: false, message: fault })
  }
  if (chain.missing !== null) {
    const message = `the layer ${chain.missing}, on which it stands, has no record`
    seen.push({ check: 'chain', path: overlayApiPath(record.overlayFile), ok: false, message })
  }
  if (!chain.base) return seen
  const image = store.data.images.find(({ id }) => id === record.imageId)
  const name = `/images/${image?.file ?? `${record.imageId}.qcow2`}`
  if (!image) {
    const message = `its base image ${record.imageId} has no record`
    return [...seen, { check: 'exists', path: name, ok: false, message }]
  }
  const path = imageFile(layout, image.file)
  const exists = await verifyExists({ path, name, access: 'read' })
  if (!exists.ok || level === 'files') return [...seen, exists]
  const replaced = image.fingerprint.sha256 !== record.base.sha256
  const fault =
    (await unchangedFault(path, record.base, workerIdentity())) ??
    (replaced ? "was replaced by another one: the node's disk does not fit it" : undefined)
  const message = fault ?? 'is as it was when the node was made'
  return [...seen, exists, { check: 'fingerprint', path: name, ok: fault === undefined, message }]
}

async function lookInside(
  context: NodesContext,
  { id, generation }: NodeRecord,
  { path, name }: RecordedFile,
  { signal, content }: Looking,
): Promise<Seen> {
  const later: Seen = {
    check: 'content',
    path: name,
    ok: true,
    message: 'running: the rest is looked at when it is stopped',
  }
  return content.run(async () => {
    if (isInUse(context, id)) return later
    const seen = await verifyContent(path, name, signal)
    const now = context.store.data.nodes.find((node) => node.id === id)
    const wasStarted = isInUse(context, id) || now?.generation !== generation
    return wasStarted && !seen.ok ? later : seen
  })
}

/** QEMU may write to its disks now, or an action of ours changes them. */
export function isInUse(context: NodesContext, id: string): boolean {
  const record = context.store.data.nodes.find((node) => node.id === id)
  if (!record || context.locks.busy(id) !== undefined) return true
  const phase = context.observations.of(record.id).engine?.phase
  return phase !== undefined && !['absent', 'stopped', 'failed'].includes(phase)
}

async function lookAtMemory({ layout }: NodesContext, memory: { file: string; sizeBytes: number }): Promise<Seen> {
  const name = overlayApiPath(memory.file)
  const { stats, fault } = await look(`${layout.overlays}/${memory.file}`)
  const wrong =
    stats && stats.size !== memory.sizeBytes ? `has ${stats.size} bytes, not ${memory.sizeBytes}` : undefined
  const message = fault === 'is missing' ? 'MISSING' : (fault ?? wrong)
  return { check: 'exists', path: name, ok: message === undefined, message: message ?? 'exists' }
}
