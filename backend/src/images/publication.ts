import { constants, type Stats } from 'node:fs'
import { chmod, chown, lstat, mkdir, open, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { SandlabError } from '../domain/error.js'
import type { Fingerprint } from '../domain/image.js'
import { errnoOf, publishFile } from '../system/durable-file.js'
import type { Identity } from '../system/identity.js'
import { wholeSectors } from '../system/qcow2-overlay.js'
import { copySparsely, sha256Of, type Pace } from './file-blocks.js'
import { checkDisk, type CheckedDisk } from './header-check.js'
import type { ImageLimits } from './image-limits.js'
import { refused } from './refusal.js'
import { openSuspect } from './suspect-file.js'

/** A finished file in our staging folder, fsynced and read-only, and what it was then. */
export interface Finished {
  path: string
  stats: Stats
  sha256: string
}

const OUTBOX = 'out'

/** The one folder that the worker may write to; returns the name of its output, relative to `folder`. */
export async function openOutbox(folder: string, identity: Identity | undefined): Promise<string> {
  const outbox = join(folder, OUTBOX)
  await mkdir(outbox, { mode: 0o700 })
  await chmod(outbox, 0o700)
  if (identity) await chown(outbox, identity.uid, identity.gid)
  return `${OUTBOX}/image.qcow2`
}

/**
 * Takes the converter's output away from the worker and looks at it as at a stranger's: it must be a qcow2 of the same
 * virtual size with no tie to any other file. Then hashes it and makes it read-only.
 */
export async function finishImage(
  folder: string,
  output: string,
  expected: CheckedDisk,
  limits: ImageLimits,
  pace: Pace,
): Promise<Finished> {
  const path = join(folder, 'image.qcow2')
  await rename(join(folder, output), path)
  const { file } = await openSuspect(path)
  try {
    await file.chown(process.getuid?.() ?? 0, process.getgid?.() ?? 0)
    const made = await checkDisk(file, { ...limits, maxFileBytes: Number.MAX_SAFE_INTEGER })
    if (made.format !== 'qcow2' || made.virtualSizeBytes !== wholeSectors(expected.virtualSizeBytes)) {
      throw refused('The converted image is not what the file announced.', 'Give the file again.')
    }
    const sha256 = await sha256Of(file, made.fileBytes, pace)
    await file.chmod(0o444)
    await file.sync()
    return { path, stats: await file.stat(), sha256 }
  } finally {
    await file.close()
  }
}

/** A kernel or initial RAM disk: copied into our folder, hashed, read-only. Throws `too_large`, as openSuspect. */
export async function finishBootFile(
  folder: string,
  name: string,
  path: string,
  maxBytes: number,
  pace: Pace,
): Promise<Finished> {
  const { file, stats } = await openSuspect(path)
  try {
    if (stats.size === 0 || stats.size > maxBytes) {
      throw new SandlabError(
        'too_large',
        `The boot file ${name} has ${stats.size} bytes; 1 to ${maxBytes} are allowed.`,
      )
    }
    const target = join(folder, name)
    const copy = await open(target, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600)
    try {
      await copySparsely(file, copy, stats.size, pace)
      const sha256 = await sha256Of(copy, stats.size, pace)
      await copy.chmod(0o444)
      await copy.sync()
      return { path: target, stats: await copy.stat(), sha256 }
    } finally {
      await copy.close()
    }
  } finally {
    await file.close()
  }
}

/** Gives a finished file its name in `images/`; never replaces another. Throws `image_exists`. */
export async function publish(
  finished: Finished,
  target: string,
  imageId: string,
  undo: (step: () => Promise<void>) => void,
): Promise<void> {
  undo(() => unpublish(finished, target))
  try {
    await publishFile(finished.path, target)
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') throw imageExists(imageId, error)
    throw error
  }
}

export function imageExists(imageId: string, cause?: unknown): SandlabError {
  return new SandlabError('image_exists', `An image ${imageId} exists already.`, {
    hint: 'A base image is never replaced; choose another id, or delete it first.',
    cause,
  })
}

export function fingerprintOf(finished: Finished): Fingerprint {
  return {
    sha256: finished.sha256,
    sizeBytes: finished.stats.size,
    mtimeMs: Math.floor(finished.stats.mtimeMs),
  }
}

/** Removes only what this import made: another import's file of the same name stays. */
async function unpublish(finished: Finished, target: string): Promise<void> {
  const now = await lstat(target).catch(() => undefined) // was never published
  if (now && now.ino === finished.stats.ino && now.dev === finished.stats.dev) await unlink(target)
}
