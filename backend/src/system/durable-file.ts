import { randomBytes } from 'node:crypto'
import { link, open, readdir, rename, rm, unlink, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { SandlabError } from '../domain/error.js'
import type { Identity } from './identity.js'
import { shareSync } from './shared-sync.js'

export interface DurableWriteOptions {
  /** Default 0600. */
  mode?: number
  /** Where the file that is replaced stays, by hard link; replaced itself. */
  keepPrevious?: string
  /** Given to this user before it gets its name. */
  owner?: Identity | undefined
}

/**
 * A disk that failed after the new content may already have its name: nobody can say what is on it. Never retried,
 * because a second fsync may report success for pages that the kernel has dropped.
 */
export class UncertainWriteError extends Error {
  constructor(path: string, cause: unknown) {
    super(`Could not make sure that ${path} is on the disk`, { cause })
    this.name = 'UncertainWriteError'
  }
}

/**
 * Replaces `path` so that after a power cut it holds either the old or the new content, whole: written under a random
 * name in the same folder, fsynced, renamed, folder fsynced. Resolves when that is so.
 *
 * Rejects with the file system's error and leaves the old file and no staging name; or with UncertainWriteError when a
 * fsync failed (the old or the new file is there).
 */
export async function writeFileDurably(
  path: string,
  data: string | Uint8Array,
  options: DurableWriteOptions = {},
): Promise<void> {
  const staging = stagingName(path)
  try {
    await writeAndSync(staging, data, options)
    if (options.keepPrevious !== undefined) await keepAs(path, options.keepPrevious)
    await rename(staging, path)
  } catch (error) {
    await rm(staging, { force: true }).catch(() => undefined) // the first error is the one to tell
    throw error
  }
  await syncFolderOf(path)
}

/**
 * Gives a finished, fsynced staging file its name without ever replacing another: link, unlink, fsync of the folder.
 * Rejects with EEXIST when the name is taken; the staging file then stays. Both lie on the same file system.
 */
export async function publishFile(staging: string, target: string): Promise<void> {
  await link(staging, target)
  await unlink(staging)
  await syncFolderOf(target)
  if (dirname(staging) !== dirname(target)) await fsyncDirectory(dirname(staging))
}

/** Makes names in a folder durable: creations, renames, removals. Concurrent requests share the work. */
export const fsyncDirectory = shareSync(async (path) => {
  const folder = await openFolder(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
})

const TRIES = 6
const FIRST_WAIT_MS = 10

/** What was renamed can't be taken back for want of a descriptor: others give theirs back in a moment. */
async function openFolder(path: string): Promise<FileHandle> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await open(path, 'r')
    } catch (error) {
      const mayPass = errnoOf(error) === 'EMFILE' || errnoOf(error) === 'ENFILE'
      if (!mayPass || tried === TRIES) throw error
    }
    await setTimeout(FIRST_WAIT_MS * 2 ** (tried - 1))
  }
}

const STAGING_NAME = /^\..+\.[0-9a-f]{12}\.tmp$/

/** `.name.<random>.tmp` beside the target: hidden, on the same file system, never met by another writer. */
export function stagingName(target: string): string {
  return join(dirname(target), `.${basename(target)}.${randomBytes(6).toString('hex')}.tmp`)
}

/**
 * Removes what killed writers left under staging names in a folder, not below it. Only while nobody writes there: at the
 * start, under the state's lock. A folder that is missing has none.
 */
export async function sweepStagingNames(folder: string): Promise<void> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  for (const name of names) if (STAGING_NAME.test(name)) await rm(join(folder, name), { force: true })
}

/** Says in our terms what a file system refused; `what` completes "Could not …". */
export function storageFailure(what: string, error: unknown): SandlabError {
  if (error instanceof SandlabError) return error
  const code = errnoOf(error)
  if (isNoSpace(code)) {
    return new SandlabError('no_space', `Could not ${what}: the disk is full.`, {
      hint: 'Free some disk space, then try again. Nothing was changed.',
      cause: error,
    })
  }
  return new SandlabError('state_io', `Could not ${what}: the disk answered ${code ?? 'with an error'}.`, {
    hint: 'Look at the disk and the kernel log, then restart SandLabX.',
    cause: error,
  })
}

/** Whether a disk, or the system's limits on files, refused something: what `storageFailure` has words for. */
export function isStorageError(error: unknown): boolean {
  if (error instanceof UncertainWriteError) return true
  const code = errnoOf(error)
  if (code === undefined) return false
  // Node's recursive mkdir says ENOENT whatever the disk answered.
  const isMkdir =
    code === 'ENOENT' && typeof error === 'object' && error !== null && 'syscall' in error && error.syscall === 'mkdir'
  return isMkdir || isNoSpace(code) || ['EIO', 'EROFS', 'EMFILE', 'ENFILE', 'EACCES', 'EPERM'].includes(code)
}

/** The same of what was made of it: an error of ours names what met the disk as its cause. */
export function isFromStorage(error: unknown): boolean {
  return isStorageError(error) || (error instanceof Error && error.cause !== undefined && isFromStorage(error.cause))
}

export function isNoSpace(code: string | undefined): boolean {
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG'
}

/** The name of a system error: `ENOENT`. Not by `instanceof`: an error of node:fs may come from another realm. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof UncertainWriteError) return errnoOf(error.cause)
  const isCoded = typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
  if (!isCoded) return undefined
  // libuv has no name for a full quota.
  return error.code === 'Unknown system error -122' ? 'EDQUOT' : (error.code as string)
}

async function writeAndSync(path: string, data: string | Uint8Array, options: DurableWriteOptions): Promise<void> {
  const file = await open(path, 'wx', options.mode ?? 0o600)
  try {
    // A Buffer goes out in one write; a string in pieces, twice as slow at 1 MB.
    await file.writeFile(typeof data === 'string' ? Buffer.from(data) : data)
    if (options.owner) await file.chown(options.owner.uid, options.owner.gid)
    await syncFile(file, path)
  } finally {
    await file.close()
  }
}

async function syncFile(file: FileHandle, path: string): Promise<void> {
  try {
    await file.sync()
  } catch (error) {
    // A full disk found late (delayed allocation) concerns only the staging file, which is thrown away.
    throw isNoSpace(errnoOf(error)) ? error : new UncertainWriteError(path, error)
  }
}

/** `rename` is the only call that replaces a name at once, and `link` refuses a taken one: hence both. */
async function keepAs(path: string, previous: string): Promise<void> {
  const staging = stagingName(previous)
  try {
    await link(path, staging)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return // the first write: nothing to keep
    throw error
  }
  await rename(staging, previous)
  // When both names are already the same file, rename(2) does nothing and leaves the staging name.
  await rm(staging, { force: true })
}

async function syncFolderOf(path: string): Promise<void> {
  try {
    await fsyncDirectory(dirname(path))
  } catch (error) {
    throw new UncertainWriteError(path, error)
  }
}
