import type { Stats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { isSandlabError } from '../domain/error.js'
import type { Fingerprint, Image } from '../domain/image.js'
import type { Chain, Layer } from '../domain/layer.js'
import { imageFile, overlayApiPath, overlayFile, type Layout } from '../domain/layout.js'
import type { NodeRecord } from '../domain/node.js'
import { formatBytes } from '../domain/units.js'
import { errnoOf } from '../system/durable-file.js'
import { workerIdentity, type Identity } from '../system/identity.js'
import { wholeSectors } from '../system/qcow2-overlay.js'
import { readQcow2Header, type Qcow2Header } from '../system/qcow2.js'

/** What a look at a node's files has to know of the node, and of its base image. */
export type RecordedDisk = Pick<NodeRecord, 'id' | 'imageId' | 'overlayFile' | 'base' | 'diskBytes'>
export type RecordedBase = Pick<Image, 'file' | 'fingerprint'>
/** What it stands on. Size and time of a layer's file are compared where they are known. */
export type RecordedChain = Chain<Pick<Layer, 'file'> & Partial<Pick<Layer, 'sizeBytes' | 'mtimeMs'>>>

/** Most disks stand on their base image alone. */
export const ON_IMAGE: RecordedChain = { layers: [], base: true, missing: null }

/**
 * What is wrong with a node's disk or with anything that it stands on, as a sentence; undefined when nothing is.
 * `expectedBacking`: what its header must name; null: nothing.
 */
export async function overlayFault(
  layout: Layout,
  record: RecordedDisk,
  image: RecordedBase | undefined,
  chain: RecordedChain,
  expectedBacking: string | null,
): Promise<string | undefined> {
  const path = overlayFile(layout, record.id)
  const name = overlayApiPath(record.overlayFile)
  const identity = workerIdentity()
  const file = await look(path)
  const fileFault = file.stats ? kindFault(file.stats, identity, 'write') : file.fault
  if (fileFault !== undefined) return `Its disk ${name} ${fileFault}.`
  const header = await readHeader(path)
  if (typeof header === 'string') return `Its disk ${name} is damaged: ${header}.`
  if (!image) return `Its base image ${record.imageId} is gone.`
  if (chain.missing !== null) return `The layer ${chain.missing}, on which it stands, has no record.`
  const disagreement = headerFault(header, record, expectedBacking)
  if (disagreement !== undefined) return `Its disk ${name} ${disagreement}.`
  for (const layer of chain.layers) {
    const layerFault = await unchangedFault(`${layout.overlays}/${layer.file}`, layer, identity)
    if (layerFault !== undefined) return `The layer ${overlayApiPath(layer.file)}, on which it stands, ${layerFault}.`
  }
  if (!chain.base) return undefined
  const baseFault = await unchangedFault(imageFile(layout, image.file), record.base, identity)
  if (baseFault !== undefined) return `Its base image ${image.file} ${baseFault}.`
  if (image.fingerprint.sha256 !== record.base.sha256) {
    return `Its base image ${image.file} was replaced by another one: the node's disk does not fit it.`
  }
  return undefined
}

/**
 * What lies below must still be as it was: reading an overlay over a changed file gives wrong data without any error.
 * The rest of a sentence; undefined when it is.
 */
export async function unchangedFault(
  path: string,
  expected: Partial<Pick<Fingerprint, 'sizeBytes' | 'mtimeMs'>>,
  identity: Identity | undefined,
): Promise<string | undefined> {
  const { stats, fault } = await look(path)
  if (!stats) return fault
  const unusable = kindFault(stats, identity, 'read')
  if (unusable !== undefined) return unusable
  const changed = [
    ...(expected.sizeBytes === undefined || stats.size === expected.sizeBytes
      ? []
      : [`its size is ${formatBytes(stats.size)} (${stats.size} bytes), it was ${expected.sizeBytes} bytes`]),
    ...(expected.mtimeMs === undefined || isSameTime(stats.mtimeMs, expected.mtimeMs)
      ? []
      : [`it was written at ${stats.mtime.toISOString()}, before at ${new Date(expected.mtimeMs).toISOString()}`]),
  ]
  return changed.length === 0 ? undefined : `has changed since the node was made: ${changed.join('; ')}`
}

/**
 * Whether a file still has the time that was recorded, in whole milliseconds. Some archives keep whole seconds only: a
 * backup that was made with one must come back, too.
 */
export function isSameTime(foundMs: number, recordedMs: number): boolean {
  return Math.abs(foundMs - recordedMs) < 1 || foundMs === Math.floor(recordedMs / 1000) * 1000
}

/** What stands under a name, no link followed; else the rest of a sentence. */
export async function look(path: string): Promise<{ stats: Stats; fault?: never } | { stats?: never; fault: string }> {
  try {
    return { stats: await lstat(path) }
  } catch (error) {
    const errno = errnoOf(error)
    return { fault: errno === 'ENOENT' || errno === 'ENOTDIR' ? 'is missing' : `can't be looked at (${errno})` }
  }
}

/** Why it can't be used as a disk, as the rest of a sentence. */
export function kindFault(stats: Stats, identity: Identity | undefined, access: 'read' | 'write'): string | undefined {
  if (stats.isDirectory()) return 'is a folder, not a disk'
  if (stats.isSymbolicLink()) return 'is a symbolic link, not a disk'
  if (!stats.isFile()) return 'is not a regular file'
  if (identity) {
    // As root we give a node its disk at each start; its base must be readable for the users of all nodes.
    if (access === 'write' || (stats.mode & 0o4) !== 0) return undefined
    return "can't be read by the users that run QEMU"
  }
  const user = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
  const needed = access === 'read' ? 0o4 : 0o6
  if (user.uid === 0 || (bitsFor(stats, user) & needed) === needed) return undefined
  return `can't be ${access === 'read' ? 'read' : 'read and written'} by the user that runs QEMU (uid ${user.uid})`
}

/** The rwx bits that apply to a user, as the kernel picks them: owner, else group, else others. */
export function bitsFor(stats: Stats, user: Identity): number {
  if (stats.uid === user.uid) return (stats.mode >> 6) & 0o7
  if (stats.gid === user.gid) return (stats.mode >> 3) & 0o7
  return stats.mode & 0o7
}

/** The header, or why it can't be read. */
export async function readHeader(path: string): Promise<Qcow2Header | string> {
  try {
    return await readQcow2Header(path)
  } catch (error) {
    if (isSandlabError(error, 'image_refused')) return String(error.details?.['reason'])
    return `it can't be read (${errnoOf(error)})`
  }
}

/** What is wrong with a header, as the rest of a sentence; undefined when nothing is. */
export function headerFault(
  header: Qcow2Header,
  record: Pick<RecordedDisk, 'diskBytes'>,
  expectedBacking: string | null,
): string | undefined {
  return soundnessFault(header) ?? backingFault(header, expectedBacking) ?? sizeFault(header, record.diskBytes)
}

/** What no disk of ours has: marks of damage, and features by which a disk could reach other files. */
export function soundnessFault(header: Qcow2Header): string | undefined {
  if (header.incompatible.includes('corrupt')) return 'is marked as corrupt by QEMU'
  if (header.incompatible.includes('data-file')) return 'keeps its data in another file'
  if (header.unknownIncompatibleBits !== 0n) return 'uses features that SandLabX does not know'
  if (header.cryptMethod !== 0) return 'is encrypted'
  return undefined
}

export function sizeFault(header: Qcow2Header, diskBytes: number): string | undefined {
  const expected = wholeSectors(diskBytes)
  if (header.virtualSizeBytes === expected) return undefined
  return `has a virtual size of ${header.virtualSizeBytes} bytes, its record says ${expected}`
}

/** `expected`: what it must name; null: nothing. */
export function backingFault({ backingFile, backingFormat }: Qcow2Header, expected: string | null): string | undefined {
  if (expected === null) {
    return backingFile === null ? undefined : `names ${backingFile} as its base, and should need none`
  }
  if (backingFile === null) return 'has no base image in its header'
  if (backingFile === expected && backingFormat === 'qcow2') return undefined
  return `names ${backingFile} as its base, not ${expected}`
}
