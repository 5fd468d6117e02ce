import { rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { CommandError, runCommand } from '../system/command.js'
import type { Identity } from '../system/identity.js'
import { writeQcow2Overlay } from '../system/qcow2-overlay.js'
import { copyFailure, limited, mergeOne, openAll, readerOf } from './layer-copies.js'
import { openPlain } from './layers.js'

export interface DiskMerge {
  /** What goes into one file: a disk or a layer, then the layers under it, nearest first. Absolute, and standing still. */
  files: readonly [string, ...string[]]
  /** What the new file stands on: all files below, nearest first; empty: it stands alone. */
  below: readonly string[]
  /** How its header names that; null: nothing. */
  backingFile: string | null
  /** Of the first file, in bytes. */
  virtualSizeBytes: number
  /** The new file; it belongs to the first one's user, and is not yet in anybody's chain. */
  target: string
  signal: AbortSignal
}

/**
 * Makes one new file of a disk and layers under it, fsynced and compared with them through all that lies below. None of
 * them is changed, so that the old chain is whole whatever happens. Throws `no_space`, `cancelled`, `node_broken`,
 * `checksum_mismatch`; leaves no target then.
 */
export async function mergeDisks(merge: DiskMerge): Promise<void> {
  const { files, below, target, virtualSizeBytes, signal, backingFile } = merge
  const [first] = files
  try {
    const identity = await readerOf(first)
    await rm(target, { force: true })
    await writeQcow2Overlay(target, { backingFile, virtualSizeBytes }, { owner: identity })
    if (below.length === 0) await convertWhole(files, target, identity, signal, virtualSizeBytes)
    else {
      for (const file of files.toReversed()) {
        await mergeOne({ file, staging: target, below, identity, signal, virtualSizeBytes })
      }
    }
    await syncPlain(target)
    await requireSame([...files, ...below], [target, ...below], identity, signal)
  } catch (error) {
    await rm(target, { force: true }).catch(() => undefined) // the first error is the one to tell
    throw copyFailure(basename(first), error)
  }
}

/** A chain (nearest first) whose files are our descriptors from `first` on: no header is believed. */
function chainFrom(first: number, count: number): object | null {
  return Array.from({ length: count }, (_, index) => first + index).reduceRight<object | null>(
    (below, fd) => ({
      driver: 'qcow2',
      file: { driver: 'file', filename: `/proc/self/fd/${fd}` },
      backing: below,
    }),
    null,
  )
}

/** Nothing is below: what no file holds are zeros. */
async function convertWhole(
  files: readonly string[],
  target: string,
  identity: Identity | undefined,
  signal: AbortSignal,
  bytes: number,
): Promise<void> {
  const open = await openAll([...files, target])
  try {
    const into = `driver=qcow2,file.driver=file,file.filename=/proc/self/fd/${3 + files.length}`
    const source = `json:${JSON.stringify(chainFrom(3, files.length))}`
    await runCommand('qemu-img', ['convert', '-q', '-U', '-n', '--target-image-opts', source, into], {
      ...limited(identity, signal, bytes),
      extraFds: open.map(({ fd }) => fd),
    })
  } finally {
    for (const file of open) await file.close()
  }
}

/** Compares what a guest would read from two chains (nearest first). Throws `checksum_mismatch`. */
async function requireSame(
  one: readonly string[],
  other: readonly string[],
  identity: Identity | undefined,
  signal: AbortSignal,
): Promise<void> {
  const open = await openAll([...one, ...other])
  try {
    const chains = [chainFrom(3, one.length), chainFrom(3 + one.length, other.length)]
    const args = ['compare', '-q', '-U', ...chains.map((chain) => `json:${JSON.stringify(chain)}`)]
    const options = { ...limited(identity, signal, 0), extraFds: open.map(({ fd }) => fd) }
    await runCommand('qemu-img', args, options)
  } catch (error) {
    // 1: they differ. More: it could not tell.
    if (!(error instanceof CommandError) || error.exitCode !== 1) throw error
    throw new SandlabError(
      'checksum_mismatch',
      'What was written is not what was read: the disk or memory is faulty.',
      {
        hint: 'Nothing was changed. Look at the kernel log and the disk before another try.',
        cause: error,
      },
    )
  } finally {
    for (const file of open) await file.close()
  }
}

async function syncPlain(path: string): Promise<void> {
  const file = await openPlain(path)
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
