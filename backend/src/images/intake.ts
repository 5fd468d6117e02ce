import type { Stats } from 'node:fs'
import { chmod, link, lstat, open, rename, stat, type FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { MIB } from '../domain/units.js'
import { requireSpace } from '../storage/space.js'
import { CommandError, runCommand } from '../system/command.js'
import { errnoOf, fsyncDirectory } from '../system/durable-file.js'
import type { OperationHandle } from '../transactions/operations.js'
import { checkDisk, type CheckedDisk } from './header-check.js'
import type { ImageLimits } from './image-limits.js'
import { refused } from './refusal.js'
import { openSuspect } from './suspect-file.js'

export interface Intake {
  source: { path: string; consume: boolean }
  /** Our staging folder; the file becomes SOURCE_NAME in it. */
  folder: string
  /** Completes "Could not …". */
  what: string
  /** Room that is reserved for all of it already. */
  reservedBytes: number
  limits: ImageLimits
  op: OperationHandle
}

export const SOURCE_NAME = 'source'
/** 256 GiB at the speed of a slow network disk. */
const COPY_TIMEOUT_MS = 12 * 3600 * 1000
const CONVERSION_RESERVE_BYTES = 32 * MIB

/**
 * Takes a file out of the reach of whoever gave it: checks it, then renames it into our folder (`giveBack` undoes that),
 * or copies it through the descriptor that was checked, and checks again what the converter will read: readable by the
 * worker, writable by nobody.
 *
 * Throws `image_refused`, `not_found`, `no_space`, `cancelled`.
 */
export async function takeIn(intake: Intake): Promise<CheckedDisk> {
  const { source, folder, limits, op } = intake
  const { file, stats } = await openSuspect(source.path)
  try {
    op.step('Looking at the file', 0)
    const checked = await checkDisk(file, limits)
    const moved = source.consume && (await isOnDeviceOf(folder, stats))
    await requireRoom(intake, stats, moved)
    if (moved) await move(intake, { file, stats })
    else await copy(intake, file, checked)
    const again = await recheck(folder, limits)
    if (again.format !== checked.format || again.fileBytes !== checked.fileBytes) {
      throw refused('The file changed while it was looked at.', 'Wait until it is complete, then try again.')
    }
    return again
  } finally {
    await file.close()
  }
}

/** Bytes that an import writes: a copy of the file where it can't be moved, and what it becomes. */
export function roomFor(stats: Pick<Stats, 'size' | 'blocks'>, moved: boolean): number {
  const heldBytes = Math.min(stats.size, stats.blocks * 512)
  return (moved ? heldBytes : 2 * heldBytes) + CONVERSION_RESERVE_BYTES
}

/** For what turned out to be larger than the room that was reserved. */
async function requireRoom({ folder, what, reservedBytes }: Intake, stats: Stats, moved: boolean): Promise<void> {
  const bytes = roomFor(stats, moved) - reservedBytes
  if (bytes > 0) await requireSpace({ path: folder, bytes, what })
}

async function isOnDeviceOf(folder: string, stats: Stats): Promise<boolean> {
  return (await lstat(folder)).dev === stats.dev
}

/** From here on the file has only our name; what it was called may be taken by another file, which is left alone. */
async function move(intake: Intake, given: { file: FileHandle; stats: Stats }): Promise<void> {
  const target = join(intake.folder, SOURCE_NAME)
  await rename(intake.source.path, target)
  const { ino, dev } = await lstat(target)
  if (ino !== given.stats.ino || dev !== given.stats.dev) {
    throw refused('Another file was put in the place of the one that was looked at.', 'Give the file again.')
  }
  await given.file.chmod(0o444)
}

/**
 * Gives a file that was moved into our folder its old name and mode again; our name stays, its folder goes next. Not when
 * there is a file of that name: then ours is a copy of it, or somebody has given another.
 */
export async function giveBack(folder: string, path: string, mode: number): Promise<void> {
  const moved = join(folder, SOURCE_NAME)
  try {
    await link(moved, path)
  } catch (error) {
    // EXDEV: it was copied. ENOENT: it was never taken in, or its folder is gone.
    if (['EEXIST', 'EXDEV', 'ENOENT'].includes(errnoOf(error) ?? '')) return
    throw error
  }
  const file = await open(moved, 'r')
  try {
    await file.chmod(mode)
  } finally {
    await file.close()
  }
  await fsyncDirectory(dirname(path))
}

/**
 * By `cp`, which sees the holes of a file without reading them and shares blocks where the file system can. It reads the
 * descriptor that was checked, whatever the file's name points to by now.
 */
async function copy(intake: Intake, file: FileHandle, checked: CheckedDisk): Promise<void> {
  const { folder, op } = intake
  op.step('Copying the file', 0.02)
  const target = join(folder, SOURCE_NAME)
  const watch = setInterval(() => {
    stat(target).then(
      ({ blocks }) => op.bytes(Math.min(blocks * 512, checked.fileBytes), checked.fileBytes),
      () => undefined, // not begun, or over
    )
  }, 500)
  try {
    await runCommand('cp', ['--sparse=always', '--reflink=auto', '--', '/proc/self/fd/3', SOURCE_NAME], {
      cwd: folder,
      timeoutMs: COPY_TIMEOUT_MS,
      signal: op.signal,
      limits: { fileBytes: checked.fileBytes },
      extraFds: [file.fd],
    })
    await chmod(target, 0o444)
  } catch (error) {
    throw copyFailure(error)
  } finally {
    clearInterval(watch)
  }
}

function copyFailure(error: unknown): unknown {
  if (!(error instanceof CommandError)) return error
  if (error.cancelled) return new SandlabError('cancelled', 'It was cancelled; nothing was kept.', { cause: error })
  if (error.stderr.includes('No space left')) {
    return new SandlabError('no_space', 'The disk became full while the file was copied.', {
      hint: 'Free some disk space, then try again. Nothing was changed.',
      cause: error,
    })
  }
  const grew = error.signal === 'SIGXFSZ' || error.stderr.includes('File too large')
  const refusal = refused(
    grew ? 'The file grew while it was copied: something else writes to it.' : 'The file could not be read to its end.',
    'Wait until it is complete, then try again.',
  )
  refusal.cause = error
  return refusal
}

/** The same check on the very file that the converter will read. */
async function recheck(folder: string, limits: ImageLimits): Promise<CheckedDisk> {
  const { file } = await openSuspect(join(folder, SOURCE_NAME))
  try {
    return await checkDisk(file, limits)
  } finally {
    await file.close()
  }
}
