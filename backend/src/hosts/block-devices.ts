import type { DriveSettings } from '../domain/drive.js'

/**
 * QEMU's block graph as `-blockdev` JSON, every layer named: nothing is probed and no backing file is followed that a
 * file's header may name (QEMU docs/system/qemu-block-drivers; CVE-2014-0134 and its heirs). Pure.
 */

/** How QEMU reaches a disk's file. */
export interface DiskAccess {
  cache?: DriveSettings['cache'] | undefined
  io?: DriveSettings['io'] | undefined
  /** No flush reaches the host's disk: what is in it is never needed again. */
  ephemeral?: true | undefined
}

export interface RootDisk extends DiskAccess {
  /** The node's overlay, read and written. */
  overlay: string
  /** What it stands on, read only, nearest first; the last one is opened with no backing file of its own. */
  backing: string[]
}

/** The overlay over its chain. Discards free space in the overlay; the host's page cache is used unless told otherwise. */
export function overlayChain(nodeName: string, disk: RootDisk): object {
  return { ...writableQcow2(nodeName, disk.overlay, disk), backing: chainBelow(nodeName, disk.backing) }
}

/** A further layer, to be put over a disk of a running QEMU. */
export function freshLayer(nodeName: string, file: string, access: DiskAccess = {}): object {
  return { ...writableQcow2(nodeName, file, access), backing: null }
}

/** A further drive. */
export interface DataDrive extends DiskAccess {
  file: string
  /** Default qcow2. */
  format?: 'qcow2' | 'raw' | undefined
  readOnly: boolean
  /** What it stands on, nearest first; nothing: it stands alone. */
  backing: string[]
}

export function dataDrive(nodeName: string, drive: DataDrive): object {
  if (drive.format === 'raw') {
    const below = fileNode(drive.file, drive, drive.readOnly)
    return { driver: 'raw', 'node-name': nodeName, ...protocolOptions(drive, drive.readOnly), file: below }
  }
  const backing = chainBelow(nodeName, drive.backing)
  if (!drive.readOnly) return { ...writableQcow2(nodeName, drive.file, drive), backing }
  const file = fileNode(drive.file, drive, true)
  return { driver: 'qcow2', 'node-name': nodeName, ...protocolOptions(drive, true), file, backing }
}

function chainBelow(nodeName: string, files: readonly string[]): object | null {
  return files.reduceRight<object | null>(
    (below, file, index) => ({ ...readOnlyDrive(`${nodeName}-base${index || ''}`, file), backing: below }),
    null,
  )
}

export function readOnlyDrive(nodeName: string, file: string): object {
  return {
    driver: 'qcow2',
    'node-name': nodeName,
    'read-only': true,
    file: { driver: 'file', filename: file, 'read-only': true },
    backing: null,
  }
}

/** A raw file as it is: the seed, the firmware. Raw is said, never probed: a guest can write any header. */
export function rawFile(nodeName: string, file: string, readOnly: boolean): object {
  return {
    driver: 'raw',
    'node-name': nodeName,
    'read-only': readOnly,
    file: { driver: 'file', filename: file, 'read-only': readOnly },
  }
}

function writableQcow2(nodeName: string, file: string, access: DiskAccess): object {
  return {
    driver: 'qcow2',
    'node-name': nodeName,
    ...protocolOptions(access, false),
    file: fileNode(file, access, false),
  }
}

function fileNode(filename: string, access: DiskAccess, readOnly: boolean): object {
  return {
    driver: 'file',
    filename,
    // Not said when it is written to: once it is the layer of a snapshot it has to follow its overlay and be read-only.
    ...(readOnly ? { 'read-only': true } : {}),
    discard: 'unmap',
    aio: access.io ?? 'threads', // io_uring is blocked by container seccomp profiles, native needs O_DIRECT
    cache: cacheOf(access),
  }
}

function protocolOptions(access: DiskAccess, readOnly: boolean): object {
  const cache = cacheOf(access)
  return readOnly
    ? { 'read-only': true, cache }
    : { 'read-only': false, discard: 'unmap', 'detect-zeroes': 'unmap', cache }
}

/** `writethrough` is the device's business: after each write it flushes. */
function cacheOf({ cache, ephemeral }: DiskAccess): object {
  return { direct: cache === 'none', 'no-flush': ephemeral ?? false }
}
