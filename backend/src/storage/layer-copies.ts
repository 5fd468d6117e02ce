import { chmod, lstat, mkdir, rename, rm, type FileHandle } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { layerFile, type Layout } from '../domain/layout.js'
import { CommandError, runCommand, type CommandOptions } from '../system/command.js'
import { publishFile, storageFailure } from '../system/durable-file.js'
import { workerIdentity, type Identity } from '../system/identity.js'
import { writeQcow2Overlay } from '../system/qcow2-overlay.js'
import { readQcow2Header } from '../system/qcow2.js'
import { headerFault } from './overlay-faults.js'
import { openPlain, protectLayer, stagedLayer, type LayerFacts } from './layers.js'

export interface LayerCopy {
  layout: Layout
  layerId: string
  /** The disk as it stands still: stopped, or frozen. */
  from: string
  /** Its virtual size in bytes, and what its header must name; null: nothing. */
  diskBytes: number
  backing: string | null
  signal: AbortSignal
}

const TIMEOUT_MS = 60 * 60 * 1000
const CPU_SECONDS = 30 * 60
const MEMORY_BYTES = 1024 ** 3
const SPARE_BYTES = 64 * 1024 ** 2

/** Copies a disk's own file, holes and all, to a new layer over the same chain. */
export async function copyToLayer(copy: LayerCopy): Promise<LayerFacts> {
  const { layout, layerId } = copy
  await copyDisk({ ...copy, to: stagedLayer(layout, layerId) })
  return publishLayer(layout, layerId)
}

export type DiskCopy = Pick<LayerCopy, 'from' | 'diskBytes' | 'backing' | 'signal'> & { to: string }

/**
 * Copies a disk's own file as it stands still; readable for all, ours. `cp` shares the blocks where the file system can.
 * The copy is looked at like any disk that a guest wrote: its header must say what the record says. `to` is there when
 * it is whole and fsynced.
 */
export async function copyDisk(copy: DiskCopy): Promise<void> {
  const { from, to } = copy
  const staging = `${to}.part`
  try {
    const { size } = await lstat(from)
    await (await openPlain(from)).close()
    await mkdir(dirname(to), { recursive: true, mode: 0o700 })
    await rm(staging, { force: true })
    await runCommand('cp', ['--sparse=always', '--reflink=auto', '--no-dereference', '--', from, staging], {
      timeoutMs: TIMEOUT_MS,
      signal: copy.signal,
      limits: { fileBytes: size + SPARE_BYTES },
    })
    await requireExpected(staging, copy)
    await chmod(staging, 0o444)
    await syncFile(staging)
    await rename(staging, to)
  } catch (error) {
    await rm(staging, { force: true }).catch(() => undefined) // the first error is the one to tell
    throw copyFailure(basename(from), error)
  }
}

async function requireExpected(staging: string, { from, backing, diskBytes }: Omit<DiskCopy, 'to'>): Promise<void> {
  const fault = headerFault(await readQcow2Header(staging), { diskBytes }, backing)
  if (fault !== undefined) throw new SandlabError('node_broken', `${basename(from)} ${fault}: it was not copied.`)
}

/** A chain that has become too deep: `from`, then layers, nearest first. What they hold goes into one layer. */
export interface LayerMerge extends LayerCopy {
  merged: readonly string[]
  /** What the new layer stands on: the absolute path, and how its header names it. */
  onto: { path: string; name: string }
}

/** Merges a disk and its layers into one new layer over what lies below them; none of them is changed. */
export async function mergeToLayer(merge: LayerMerge): Promise<LayerFacts> {
  const { layout, layerId, from, onto } = merge
  const staging = stagedLayer(layout, layerId)
  const identity = await readerOf(from)
  try {
    await requireExpected(from, merge)
    await rm(staging, { force: true })
    const virtualSizeBytes = merge.diskBytes
    await writeQcow2Overlay(staging, { backingFile: onto.name, virtualSizeBytes }, { owner: identity })
    for (const file of [...merge.merged.toReversed(), from]) {
      await mergeOne({ file, staging, below: [onto.path], identity, signal: merge.signal, virtualSizeBytes })
    }
    return await publishLayer(layout, layerId)
  } catch (error) {
    throw copyFailure(basename(from), error)
  }
}

export interface OneMerge {
  file: string
  staging: string
  /** All that the staged file stands on, nearest first. */
  below: readonly string[]
  identity: Identity | undefined
  signal: AbortSignal
  virtualSizeBytes: number
}

/**
 * Writes what `file` itself holds into `staging`. `-n -B`: nothing of what is below is written. Every file is an open
 * descriptor, every format is said.
 */
export async function mergeOne(one: OneMerge): Promise<void> {
  const files = await openAll([one.file, one.staging, ...one.below])
  const node = (fd: number, backing: object | null) => ({
    driver: 'qcow2',
    file: { driver: 'file', filename: `/proc/self/fd/${fd}` },
    backing,
  })
  const below = one.below.map((_, index) => 5 + index)
  try {
    const source = node(
      3,
      below.reduceRight<object | null>((backing, fd) => node(fd, backing), null),
    )
    const target = ['driver=qcow2', 'file.driver=file', 'file.filename=/proc/self/fd/4']
    const backing = below.map((fd, index) =>
      inOptions(
        Array(index + 1)
          .fill('backing')
          .join('.'),
        fd,
      ),
    )
    const args = ['convert', '-q', '-U', '-n', '--target-image-opts', '-B', '/proc/self/fd/5', '-F', 'qcow2']
    await runCommand('qemu-img', [...args, `json:${JSON.stringify(source)}`, [...target, ...backing].join(',')], {
      ...limited(one.identity, one.signal, one.virtualSizeBytes),
      extraFds: files.map(({ fd }) => fd),
    })
  } finally {
    for (const file of files) await file.close()
  }
}

function inOptions(prefix: string, fd: number): string {
  return `${prefix}.driver=qcow2,${prefix}.read-only=on,${prefix}.file.driver=file,${prefix}.file.filename=/proc/self/fd/${fd}`
}

/** Opens in order; closes what it has when one can't be opened. */
export async function openAll(paths: readonly string[]): Promise<FileHandle[]> {
  const files: FileHandle[] = []
  try {
    for (const path of paths) files.push(await openPlain(path))
    return files
  } catch (error) {
    for (const file of files) await file.close()
    throw error
  }
}

/** For a tool that reads what a guest wrote: as the user of that disk, within bounds. */
export function limited(identity: Identity | undefined, signal: AbortSignal, fileBytes: number): CommandOptions {
  return {
    timeoutMs: TIMEOUT_MS,
    signal,
    identity,
    env: { MALLOC_ARENA_MAX: '2' },
    limits: { cpuSeconds: CPU_SECONDS, memoryBytes: MEMORY_BYTES, fileBytes: Math.ceil(fileBytes * 1.1) + SPARE_BYTES },
  }
}

/** Who may read a disk: its own user, or the worker where it is ours; undefined when we are not root. */
export async function readerOf(disk: string): Promise<Identity | undefined> {
  const worker = workerIdentity()
  if (!worker) return undefined
  const { uid, gid } = await lstat(disk)
  return uid === 0 ? worker : { uid, gid }
}

async function publishLayer(layout: Layout, layerId: string): Promise<LayerFacts> {
  await syncFile(stagedLayer(layout, layerId))
  await publishFile(stagedLayer(layout, layerId), layerFile(layout, layerId))
  return protectLayer(layout, layerId)
}

async function syncFile(path: string): Promise<void> {
  const file = await openPlain(path)
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

export function copyFailure(what: string, error: unknown): unknown {
  if (!(error instanceof CommandError)) return storageFailure(`copy ${what}`, error)
  if (error.cancelled) return new SandlabError('cancelled', `The copy of ${what} was cancelled.`, { cause: error })
  if (/No space left|File too large/.test(error.stderr)) {
    return new SandlabError('no_space', `Could not copy ${what}: the disk is full.`, {
      hint: 'Free some disk space, then try again. Nothing was changed.',
      cause: error,
    })
  }
  return new SandlabError('node_broken', `Could not copy ${what}: ${error.stderr.trim().split('\n').at(-1) ?? ''}`, {
    hint: 'Nothing was changed. Look at the disk of the node.',
    cause: error,
  })
}
