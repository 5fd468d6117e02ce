import type { Stats } from 'node:fs'
import { link, lstat, mkdir, readFile, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join, normalize } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { trashDir, trashEntryFile, type Layout } from '../domain/layout.js'
import { trashEntrySchema, type TrashEntry } from '../domain/trash.js'
import { errnoOf, fsyncDirectory, storageFailure, sweepStagingNames, writeFileDurably } from '../system/durable-file.js'
import { forgetFolder, trashFolders } from './trash-folders.js'
import { readFormerEntry } from './trash-former.js'

/** An entry's id, which is its folder's name: the time and what it is about. */
export function trashIdOf(at: string, about: string): string {
  return `${at.replaceAll(':', '-')}_${about}`
}

/**
 * Writes the entry, durably, then moves its files in by rename, durably. A file that is not there is left out; one that
 * lies here already stays as it is, so that this may be called again after a kill, also when a new file has taken its
 * name meanwhile. `was` is a path within `overlays/`, or begins with `/overlays/` or `/images/`.
 *
 * Throws `no_space`, `state_io`, `unsupported` for a file on another file system: what has moved by then is brought back
 * by `takeFromTrash`.
 */
export async function moveToTrash(layout: Layout, entry: TrashEntry): Promise<void> {
  const folder = folderOf(layout, entry.id)
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await fsyncDirectory(trashDir(layout))
    await sweepStagingNames(folder) // of a try that a power cut ended
    await writeEntry(layout, trashEntrySchema.parse(entry))
    for (const { name, was } of entry.files) await moveIn(placeOf(layout, was), join(folder, plain(name)))
    await fsyncFolders(layout, entry, folder)
  } catch (error) {
    throw storageFailure(`move ${entry.title} to the trash`, error)
  }
}

/** What is in the trash, newest first. Folders from before there were entries are among them, as their records say. */
export async function listTrash(layout: Layout): Promise<TrashEntry[]> {
  const ids = await trashFolders(layout)
  const entries = await Promise.all(ids.map((id) => readEntry(layout, id)))
  return entries.filter((entry) => entry !== null).toSorted((one, other) => other.at.localeCompare(one.at))
}

/** Null when there is none of that id. One whose `entry.json` can't be read is told by the records in its folder. */
export async function readEntry(layout: Layout, id: string): Promise<TrashEntry | null> {
  const folder = folderOf(layout, id)
  const text = await readFile(trashEntryFile(layout, id), 'utf8').catch(absent)
  const entry = text === null ? null : parsed(text)
  return entry && entry.id === id ? entry : readFormerEntry(folder, id)
}

/**
 * Gives every file its former name again, durably; the entry stays. May be called again. Throws `storage_in_use` when
 * another file has a name by now; what was given back until then goes in again with `moveToTrash`.
 */
export async function putBack(layout: Layout, entry: Pick<TrashEntry, 'id' | 'files' | 'title'>): Promise<void> {
  const folder = folderOf(layout, entry.id)
  try {
    for (const { name, was } of entry.files) await moveOut(join(folder, plain(name)), placeOf(layout, was))
    await fsyncFolders(layout, entry, folder)
  } catch (error) {
    throw storageFailure(`bring ${entry.title} back`, error)
  }
}

/** Takes a move to the trash back, however far it came: all files where they were, and no entry. Absent is success. */
export async function takeFromTrash(layout: Layout, id: string): Promise<void> {
  const entry = await readEntry(layout, id)
  if (entry) await putBack(layout, entry)
  await purgeTrash(layout, id)
}

/** Removes an entry with its files, for good. A kill in the middle leaves what `sweepTrash` finishes. Absent is success. */
export async function purgeTrash(layout: Layout, id: string): Promise<void> {
  await forgetFolder(layout, basename(folderOf(layout, id)))
}

/** Each file of an entry with the bytes that it holds on the disk; what is not there is left out. */
export async function trashFiles(layout: Layout, entry: TrashEntry): Promise<{ path: string; bytes: number }[]> {
  const sized = await Promise.all(
    entry.files.map(async ({ name, was }) => {
      const found = await stat(join(folderOf(layout, entry.id), plain(name))).catch(absent)
      return found ? [{ path: was.startsWith('/') ? was : `/overlays/${was}`, bytes: found.blocks * 512 }] : []
    }),
  )
  return sized.flat()
}

/** Bytes that the whole trash holds on the disk. */
export async function trashSize(layout: Layout): Promise<number> {
  const entries = await listTrash(layout)
  const files = (await Promise.all(entries.map((entry) => trashFiles(layout, entry)))).flat()
  return files.reduce((sum, { bytes }) => sum + bytes, 0)
}

/** Whether a file of this entry lies in the trash now. */
export async function isInTrash(layout: Layout, id: string, name: string): Promise<boolean> {
  return (await look(join(folderOf(layout, id), plain(name)))) !== undefined
}

async function writeEntry(layout: Layout, entry: TrashEntry): Promise<void> {
  const path = trashEntryFile(layout, entry.id)
  const text = `${JSON.stringify(entry, undefined, 2)}\n`
  if ((await readFile(path, 'utf8').catch(absent)) !== text) await writeFileDurably(path, text)
}

async function moveIn(from: string, to: string): Promise<void> {
  const [here, there] = await Promise.all([look(from), look(to)])
  if (!here) return
  if (there) {
    // A kill between the two names of a file that was on its way back.
    if (there.ino === here.ino && there.dev === here.dev) await unlink(from)
    return
  }
  await rename(from, to).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return
    if (errnoOf(error) !== 'EXDEV') throw error
    throw new SandlabError('unsupported', `${basename(from)} lies on another file system than the trash.`, {
      hint: 'Move the file yourself, or remove it.',
      cause: error,
    })
  })
}

/** Never over another file: by a second name, which `link` refuses when it is taken. */
async function moveOut(from: string, to: string): Promise<void> {
  const [here, there] = await Promise.all([look(from), look(to)])
  if (!here) return
  if (here.isDirectory()) return there ? taken(to) : rename(from, to)
  if (!there) {
    await link(from, to).catch((error: unknown) => {
      if (errnoOf(error) === 'EEXIST') return taken(to)
      throw error
    })
  } else if (there.ino !== here.ino || there.dev !== here.dev) return taken(to)
  await unlink(from)
}

function taken(path: string): never {
  throw new SandlabError('storage_in_use', `There is another ${basename(path)} now.`, {
    hint: 'Nothing was changed. What has taken its place must go first.',
  })
}

/** A folder can't be reached through a name: entries are read from the disk. */
function folderOf(layout: Layout, id: string): string {
  return join(trashDir(layout), plain(id))
}

function plain(name: string): string {
  if (name !== basename(name) || name.startsWith('.') || name === '') {
    throw new SandlabError('bad_request', `There is no ${JSON.stringify(name)} in the trash.`)
  }
  return name
}

function placeOf(layout: Layout, was: string): string {
  const [root, path] = was.startsWith('/images/')
    ? [layout.images, was.slice('/images/'.length)]
    : [layout.overlays, was.startsWith('/overlays/') ? was.slice('/overlays/'.length) : was]
  const whole = normalize(path)
  if (whole.startsWith('..') || whole.startsWith('/') || whole === '.') {
    throw new SandlabError('path_not_allowed', `${was} is no path within the managed folders.`)
  }
  return join(root, whole)
}

async function fsyncFolders(layout: Layout, { files }: Pick<TrashEntry, 'files'>, folder: string): Promise<void> {
  const folders = new Set(files.map(({ was }) => dirname(placeOf(layout, was))))
  for (const path of [folder, ...folders]) {
    await fsyncDirectory(path).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw error
    })
  }
}

function parsed(text: string): TrashEntry | null {
  try {
    return trashEntrySchema.parse(JSON.parse(text))
  } catch {
    return null // told by the records in its folder instead
  }
}

function look(path: string): Promise<Stats | undefined> {
  return lstat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  })
}

function absent(error: unknown): null {
  if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return null
  throw error
}
