import { isSandlabError, SandlabError } from '../../domain/error.js'
import type { Layout } from '../../domain/layout.js'
import type { NodesContext } from '../../nodes/context.js'
import { checkDisk } from '../../images/header-check.js'
import { DEFAULT_LIMITS } from '../../images/image-limits.js'
import { roomFor } from '../../images/intake.js'
import { openSuspect } from '../../images/suspect-file.js'
import { lockedInodes } from '../../storage/image-locks.js'
import { hostileHeader, lookAtDisk, managedPath, scanDisks, unnamedDisks } from '../../storage/orphan-scan.js'
import { readQcow2Header } from '../../system/qcow2.js'
import { namedFiles, operationOn } from '../named-files.js'
import type { StoragePath } from './storage-path.js'

/** A disk file that may be attached, as its header tells it. */
export interface AttachSource {
  path: StoragePath
  format: 'qcow2' | 'raw'
  virtualSizeBytes: number
  backingName: string | null
  /** `/images/…` or `/overlays/…` */
  backingPath: string | null
  /** Bytes that a copy of it takes, at most. */
  copyBytes: number
}

/**
 * Looks at a file before it is attached. Throws `storage_not_found`, `storage_in_use` for one that a record names, that
 * another disk stands on, or that a process has open; `hostile_header` for one that must not be run.
 */
export async function lookAtSource(context: NodesContext, path: StoragePath): Promise<AttachSource> {
  return path.place === 'outside' ? lookOutside(context.layout, path) : lookInside(context, path, path.place)
}

async function lookInside(
  context: NodesContext,
  path: StoragePath,
  place: 'overlays' | 'images',
): Promise<AttachSource> {
  const { layout, store, operations } = context
  const { shown } = path
  const disk = lookAtDisk(layout, place, path.name)
  if (!disk) throw notFound(shown)
  const named = namedFiles(store.data, layout)
  const holder = named.get(shown)
  if (holder !== undefined) throw inUse(shown, `it belongs to ${holder}`)
  const running = operationOn(operations.list(), shown)
  if (running) throw inUse(shown, `"${running.title}" works on it just now`)
  if (disk.fault !== null) throw hostile(shown, disk.fault)
  await refuseOpen(shown, disk.inode)
  const all = await scanDisks(layout)
  const isFree = (await unnamedDisks(layout, all, new Set(named.keys()))).some((one) => one.path === shown)
  const above = all.find(({ backingPath }) => backingPath === shown)
  const isLayer = path.name.startsWith('layer_')
  if (!isFree) throw inUse(shown, above ? `${above.path} stands on it` : 'a test boot stands on it')
  if (above && !isLayer && place === 'overlays') throw inUse(shown, `${above.path} stands on it: attach that one`)
  return {
    path,
    format: disk.format === 'raw' ? 'raw' : 'qcow2',
    virtualSizeBytes: disk.virtualSizeBytes ?? 0,
    backingName: disk.backingName,
    backingPath: disk.backingPath,
    copyBytes: 2 * roomFor({ size: disk.sizeBytes, blocks: Math.ceil(disk.usedBytes / 512) }, true),
  }
}

/** In a folder that an administrator allowed: with the import room's own eyes, but for a base image of ours below it. */
async function lookOutside(layout: Layout, path: StoragePath): Promise<AttachSource> {
  const { shown } = path
  try {
    const { file, stats } = await openSuspect(path.absolute)
    try {
      await refuseOpen(shown, stats.ino)
      const copyBytes = 2 * roomFor(stats, true)
      const header = await readQcow2Header(file).catch(() => null) // then it is raw, or what checkDisk has words for
      if (header?.backingFile == null) {
        const { format, virtualSizeBytes } = await checkDisk(file, DEFAULT_LIMITS)
        return { path, format, virtualSizeBytes, backingName: null, backingPath: null, copyBytes }
      }
      const fault = hostileHeader(header)
      const backingPath = managedPath(layout, layout.overlays, header.backingFile)
      if (fault !== null) throw hostile(shown, fault)
      if (!backingPath?.startsWith('/images/')) {
        throw hostile(shown, `it names ${JSON.stringify(header.backingFile.slice(0, 100))} as its backing file`)
      }
      const { virtualSizeBytes, backingFile } = header
      return { path, format: 'qcow2', virtualSizeBytes, backingName: backingFile, backingPath, copyBytes }
    } finally {
      await file.close()
    }
  } catch (error) {
    if (isSandlabError(error, 'not_found') || isSandlabError(error, 'bad_request')) throw notFound(shown)
    throw asHostile(error, shown)
  }
}

/** What the import room refuses is a hostile header here. */
export function asHostile(error: unknown, shown: string): unknown {
  if (!isSandlabError(error, 'image_refused')) return error
  return new SandlabError('hostile_header', `${shown} can't be attached: ${error.message}`, {
    hint: error.hint,
    details: error.details,
    cause: error,
  })
}

/** Again, alone on the file: nobody has it open, and it is still the one that was looked at. */
export async function refuseOpen(shown: string, inode: number): Promise<void> {
  if ((await lockedInodes()).has(inode)) throw inUse(shown, 'a process has it open (QEMU, or one of its tools)')
}

export function inUse(shown: string, why: string): SandlabError {
  return new SandlabError('storage_in_use', `${shown} can't be attached: ${why}.`, {
    hint: 'Choose another disk (`sandlabx storage orphaned` lists them), or clone the node that it belongs to.',
  })
}

function notFound(shown: string): SandlabError {
  return new SandlabError('storage_not_found', `There is no disk ${shown.slice(0, 300)}.`, {
    hint: 'See `sandlabx storage orphaned` for what can be attached.',
    details: { path: shown.slice(0, 300) },
  })
}

function hostile(shown: string, fault: string): SandlabError {
  return new SandlabError('hostile_header', `${shown} can't be attached: ${fault}.`, {
    hint: 'If you trust it, make a clean copy on your own machine: `qemu-img convert -O qcow2 OLD NEW.qcow2`.',
  })
}
