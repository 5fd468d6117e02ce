import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { isSandlabError } from '../domain/error.js'
import { ephemeralDir, isSuspendedName, liveLayersDir, type Layout } from '../domain/layout.js'
import { createBreather } from '../system/breather.js'
import { errnoOf } from '../system/durable-file.js'
import { parseQcow2Header, type Qcow2Header } from '../system/qcow2.js'

/** A disk file in `overlays/` or `images/`, as its own header tells it. */
export interface FoundDisk {
  place: 'overlays' | 'images'
  name: string
  /** `/overlays/…` or `/images/…` */
  path: string
  /** Bytes on the disk, and as the file's length. */
  usedBytes: number
  sizeBytes: number
  changedAt: Date
  inode: number
  format: 'qcow2' | 'raw' | 'unknown'
  virtualSizeBytes: number | null
  /** As its header writes it. */
  backingName: string | null
  /** The managed file that this is, as `path`; null when it stands alone, or names something else. */
  backingPath: string | null
  /** Why nothing may stand on it or run on it; null when its header is in order. */
  fault: string | null
}

const DISK_NAME = /^[^.].*\.(qcow2|img|raw)$/
/** Enough for the header, its extensions and the name in it, as QEMU and we write them. */
const HEAD_BYTES = 4096
const MAX_HEAD_BYTES = 2 * 1024 * 1024
const QCOW2_MAGIC = 0x5146_49fb
const SECTOR_BYTES = 512

/** Whether a name in `overlays/` or `images/` is a disk's: `*.qcow2 *.img *.raw`, not hidden. */
export const isDiskName = (name: string) => DISK_NAME.test(name)

/**
 * Every disk file in the two folders, by its header alone: nothing is followed out of them, nothing waits on a pipe, and
 * what can't be read has a fault and stops no other. What is no plain file is left out: it holds no disk.
 */
export async function scanDisks(layout: Layout): Promise<FoundDisk[]> {
  const found: FoundDisk[] = []
  // Without waiting for each: a header is some microseconds, and a thousand trips through the thread pool are not.
  const breathe = createBreather()
  for (const place of ['overlays', 'images'] as const) {
    for (const name of await diskNames(layout[place])) {
      const disk = lookAtDisk(layout, place, name)
      if (disk) found.push(disk)
      await breathe()
    }
  }
  return found
}

/** The memories of suspended guests, each as what it is: no disk, whatever is in it. */
export async function scanMemories(layout: Layout): Promise<FoundDisk[]> {
  const names = await plainNames(layout.overlays, isSuspendedName)
  return names.flatMap((name) => {
    const found = lookAtDisk(layout, 'overlays', name)
    const nothing = { format: 'unknown', virtualSizeBytes: null, backingName: null, backingPath: null } as const
    return found ? [{ ...found, ...nothing, fault: 'it is the memory of a suspended guest, no disk' }] : []
  })
}

/** One of them; undefined when there is no plain file of that name. */
export function lookAtDisk(layout: Layout, place: 'overlays' | 'images', name: string): FoundDisk | undefined {
  let descriptor: number | undefined
  try {
    descriptor = openSync(join(layout[place], name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const stats = fstatSync(descriptor)
    return stats.isFile() ? describe(layout, place, name, stats, descriptor) : undefined
  } catch (error) {
    // A link, a socket, or gone meanwhile: no disk.
    if (['ELOOP', 'ENXIO', 'ENOENT', 'ENODEV', 'EISDIR', 'ENAMETOOLONG'].includes(errnoOf(error) ?? ''))
      return undefined
    return { ...UNREADABLE, place, name, path: `/${place}/${name}`, fault: `it can't be read (${errnoOf(error)})` }
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

/**
 * Those that no record names and that nothing in use stands on. `named`: paths as `/overlays/…` and `/images/…`. What a
 * running node's newest layer or an ephemeral node stands on is in use, too.
 */
export async function unnamedDisks(
  layout: Layout,
  found: readonly FoundDisk[],
  named: ReadonlySet<string>,
): Promise<FoundDisk[]> {
  const used = new Set(named)
  for (const folder of [liveLayersDir(layout), ephemeralDir(layout)]) {
    for (const name of await diskNames(folder)) {
      // Their names are as from `overlays/`, or from their own folder.
      const header = headerOf(join(folder, name))
      for (const from of [layout.overlays, folder]) {
        const path = header?.backingFile && managedPath(layout, from, header.backingFile)
        if (path) used.add(path)
      }
    }
  }
  const byPath = new Map(found.map((disk) => [disk.path, disk]))
  for (const path of used) {
    // A set may grow while it is walked: so each chain is followed to its end.
    const below = byPath.get(path)?.backingPath
    if (below) used.add(below)
  }
  return found.filter(({ path }) => !used.has(path))
}

/** `../images/x.qcow2` in a header of `overlays/` → `/images/x.qcow2`; null for anything that is not managed. */
export function managedPath(layout: Layout, from: string, backingName: string): string | null {
  if (/^[a-z][a-z0-9+.-]*:/i.test(backingName) || backingName.includes('\0')) return null
  const target = resolve(from, backingName)
  for (const place of ['overlays', 'images'] as const) {
    const name = relative(layout[place], target)
    if (name === basename(target) && DISK_NAME.test(name)) return `/${place}/${name}`
  }
  return null
}

/** What forbids to run a disk, or to stand on it, as the rest of a sentence. Its backing file is another question. */
export function hostileHeader(header: Qcow2Header): string | null {
  if (header.incompatible.includes('corrupt')) return 'it is marked as corrupt by QEMU'
  if (header.incompatible.includes('data-file')) return 'it keeps its data in another file'
  if (header.extensions.some(({ name }) => name === 'data-file')) return 'it names another file for its data'
  if (header.unknownIncompatibleBits !== 0n) return 'it uses features that SandLabX does not know'
  if (header.cryptMethod !== 0) return 'it is encrypted'
  if (header.snapshotCount !== 0) return 'it holds internal snapshots, which QEMU reads without a bound'
  if (header.virtualSizeBytes === 0) return 'it describes a disk of 0 bytes'
  return null
}

const UNREADABLE = {
  usedBytes: 0,
  sizeBytes: 0,
  changedAt: new Date(0),
  inode: 0,
  format: 'unknown',
  virtualSizeBytes: null,
  backingName: null,
  backingPath: null,
} as const

function describe(
  layout: Layout,
  place: FoundDisk['place'],
  name: string,
  stats: Stats,
  descriptor: number,
): FoundDisk {
  const facts = {
    place,
    name,
    path: `/${place}/${name}`,
    usedBytes: stats.blocks * 512,
    sizeBytes: stats.size,
    changedAt: stats.mtime,
    inode: stats.ino,
  }
  const links = stats.nlink > 1 ? `it has ${stats.nlink} names (hard links), and another may write to it` : null
  const header = readHeader(descriptor, stats.size)
  if (header === null) return { ...facts, ...rawDisk(name, stats.size, links) }
  if (typeof header === 'string') return { ...UNREADABLE, ...facts, format: 'qcow2', fault: header }
  const { backingFile, backingFormat, virtualSizeBytes } = header
  const backingPath = backingFile === null ? null : managedPath(layout, layout[place], backingFile)
  const foreign =
    backingFile === null || (backingPath !== null && (backingFormat === null || backingFormat === 'qcow2'))
      ? null
      : 'it names a backing file outside of the managed folders, or of another format'
  return {
    ...facts,
    format: 'qcow2',
    virtualSizeBytes,
    backingName: backingFile,
    backingPath,
    fault: links ?? hostileHeader(header) ?? foreign,
  }
}

function rawDisk(name: string, sizeBytes: number, links: string | null) {
  const fault = name.endsWith('.qcow2')
    ? 'it has no qcow2 header'
    : sizeBytes === 0 || sizeBytes % SECTOR_BYTES !== 0
      ? 'it is no qcow2 file, and as a raw disk it would end within a sector'
      : null
  const format = fault === null ? ('raw' as const) : ('unknown' as const)
  return {
    format,
    virtualSizeBytes: fault === null ? sizeBytes : null,
    backingName: null,
    backingPath: null,
    fault: fault ?? links,
  }
}

/** Null: it is no qcow2 file. A text: what is wrong with its header. */
function readHeader(descriptor: number, sizeBytes: number): Qcow2Header | string | null {
  let bytes = readStart(descriptor, HEAD_BYTES)
  if (bytes.length < 4 || bytes.readUInt32BE(0) !== QCOW2_MAGIC) return null
  // Where its first cluster must be seen whole: names and extensions may lie further behind.
  const isDeep = bytes.length >= 24 && (bytes.readBigUInt64BE(8) > 3000n || bytes.readUInt32BE(16) > 1000)
  if (isDeep) bytes = readStart(descriptor, MAX_HEAD_BYTES)
  try {
    return parseQcow2Header(bytes, sizeBytes)
  } catch (error) {
    if (!isSandlabError(error, 'image_refused')) throw error
    const reason = error.details?.['reason']
    return `its header is damaged or forged: ${typeof reason === 'string' ? reason : 'it contradicts itself'}`
  }
}

function readStart(descriptor: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafe(length)
  return buffer.subarray(0, readSync(descriptor, buffer, 0, length, 0))
}

function headerOf(path: string): Qcow2Header | undefined {
  try {
    const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const header = readHeader(descriptor, Number.MAX_SAFE_INTEGER)
      return typeof header === 'object' && header !== null ? header : undefined
    } finally {
      closeSync(descriptor)
    }
  } catch {
    return undefined // gone meanwhile, or not ours to read: it names nothing
  }
}

const diskNames = (folder: string) => plainNames(folder, isDiskName)

async function plainNames(folder: string, isOurs: (name: string) => boolean): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  // Before anything is opened: to open a device can already do something to it.
  return entries.filter((entry) => entry.isFile() && isOurs(entry.name)).map(({ name }) => name)
}
