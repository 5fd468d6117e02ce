import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { trashDir, type Layout } from '../domain/layout.js'
import { errnoOf, fsyncDirectory } from '../system/durable-file.js'

/** Folders on their way out: no longer listed, and finished by the next start. */
const GOING = '.going_'

/** The entries' folders, by name. */
export async function trashFolders(layout: Layout): Promise<string[]> {
  const found = await readdir(trashDir(layout), { withFileTypes: true }).catch(none)
  return found.filter((one) => one.isDirectory() && !one.name.startsWith('.')).map(({ name }) => name)
}

/** Removes a folder of the trash with what is in it: at once from the list, then from the disk. Absent is success. */
export async function forgetFolder(layout: Layout, name: string): Promise<void> {
  const going = join(trashDir(layout), `${GOING}${name}`)
  await rename(join(trashDir(layout), name), going).catch(async (error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return
    if (errnoOf(error) !== 'ENOTEMPTY' && errnoOf(error) !== 'EEXIST') throw error
    // Half purged before, and filled again by an operation that was gone on with.
    await rm(going, { recursive: true, force: true })
    await rename(join(trashDir(layout), name), going)
  })
  await rm(going, { recursive: true, force: true })
  await fsyncDirectory(trashDir(layout)).catch(none)
}

/** Finishes what a kill left half purged. Called at the start. */
export async function sweepTrash(layout: Layout): Promise<void> {
  const found = await readdir(trashDir(layout)).catch(none)
  const going = found.filter((name) => name.startsWith(GOING))
  for (const name of going) await rm(join(trashDir(layout), name), { recursive: true, force: true })
}

function none(error: unknown): [] {
  if (errnoOf(error) === 'ENOENT') return []
  throw error
}
