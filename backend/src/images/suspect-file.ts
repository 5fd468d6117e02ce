import { constants, type Stats } from 'node:fs'
import { lstat, open, type FileHandle } from 'node:fs/promises'
import { SandlabError } from '../domain/error.js'
import { errnoOf } from '../system/durable-file.js'
import { refused } from './refusal.js'

/** A stranger's file, open for reading. Its descriptor is what is checked and copied, never its name again. */
export interface SuspectFile {
  file: FileHandle
  stats: Stats
}

/**
 * Opens a file that somebody gave us, once: no symlink at its end, no waiting on a FIFO, and only a regular file with
 * one name, because a second name may belong to a file that its giver may not read.
 *
 * Throws `not_found`, `image_refused` for anything that is not a plain file. The caller closes `file`.
 */
export async function openSuspect(path: string): Promise<SuspectFile> {
  // Before opening: opening a device can already do something to it.
  refuseOddities(await statOrRefuse(path))
  const file = await openOrRefuse(path)
  try {
    const stats = await file.stat()
    refuseOddities(stats)
    return { file, stats }
  } catch (error) {
    await file.close()
    throw error
  }
}

async function statOrRefuse(path: string): Promise<Stats> {
  try {
    return await lstat(path)
  } catch (error) {
    throw openFailure(error)
  }
}

async function openOrRefuse(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY)
  } catch (error) {
    throw openFailure(error)
  }
}

function refuseOddities(stats: Stats): void {
  const kind = oddKind(stats)
  if (kind) {
    throw refused(`What was given is ${kind}, not a plain file.`, 'Give the disk image itself.', { found: kind })
  }
  if (stats.nlink !== 1) {
    throw refused(
      `The file has ${stats.nlink} names (hard links); another of them could change it while it is read, or show a file that is not yours.`,
      'Make a copy with `cp --sparse=always` and give the copy.',
      { found: 'hard link' },
    )
  }
}

function oddKind(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined
  if (stats.isSymbolicLink()) return 'a symbolic link'
  if (stats.isDirectory()) return 'a folder'
  if (stats.isFIFO()) return 'a FIFO'
  if (stats.isSocket()) return 'a socket'
  return 'a device'
}

function openFailure(error: unknown): SandlabError {
  const code = errnoOf(error)
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new SandlabError('not_found', 'There is no such file.', { cause: error })
  }
  if (code === 'ELOOP') {
    return refused('What was given is a symbolic link, not a plain file.', 'Give the disk image itself.', {
      found: 'a symbolic link',
    })
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return refused('The file may not be read by SandLabX.', 'Give it to the user that SandLabX runs as, or copy it.')
  }
  if (code === 'ENAMETOOLONG' || code === 'ERR_INVALID_ARG_VALUE' || code === 'EINVAL') {
    return new SandlabError('bad_request', 'This is not a file name.', { cause: error })
  }
  return refused('The file could not be opened.', 'Give a plain disk image.', { found: code ?? 'error' })
}
