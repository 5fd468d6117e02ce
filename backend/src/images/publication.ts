import { constants, type Stats } from 'node:fs'
import { chmod, chown, link, lstat, mkdir, open, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { SandlabError } from '../domain/error.js'
import type { Fingerprint } from '../domain/image.js'
import { imageFile, type Layout } from '../domain/layout.js'
import { removeImageSidecar } from '../storage/image-sidecars.js'
import { errnoOf, fsyncDirectory } from '../system/durable-file.js'
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
 * virtual size with no tie to any other file. Then it is `name` in the folder, hashed and read-only.
 */
export async function finishImage(
  folder: string,
  output: string,
  name: string,
  expected: CheckedDisk,
  limits: ImageLimits,
  pace: Pace,
): Promise<Finished> {
  const path = join(folder, name)
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

/**
 * Gives finished files of our folder the same names in `images/`; never replaces another. They keep their names in the
 * folder as well, until it goes: by them an undo tells its own files from others. Throws `image_exists`.
 */
export async function publish(layout: Layout, folder: string, names: string[], imageId: string): Promise<void> {
  for (const name of names) {
    await link(join(folder, name), imageFile(layout, name)).catch((error: unknown) => {
      throw errnoOf(error) === 'EEXIST' ? imageExists(imageId, error) : error
    })
  }
  await fsyncDirectory(layout.images)
}

/**
 * Takes back what `publish` did, and the sidecar; the files of another import of the same name stay. The first name goes
 * last, since it tells whether the sidecar is ours.
 */
export async function unpublish(layout: Layout, folder: string, names: string[], imageId: string): Promise<void> {
  const [disk, ...others] = names
  if (disk === undefined || !(await isOurs(layout, folder, disk))) return
  await removeImageSidecar(layout, imageId)
  for (const name of [...others, disk]) {
    if (await isOurs(layout, folder, name)) await unlink(imageFile(layout, name))
  }
  await fsyncDirectory(layout.images)
}

async function isOurs(layout: Layout, folder: string, name: string): Promise<boolean> {
  const [made, published] = await Promise.all([lookAt(join(folder, name)), lookAt(imageFile(layout, name))])
  return made !== undefined && published !== undefined && made.ino === published.ino && made.dev === published.dev
}

async function lookAt(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
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
