import { chmod, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { imageStagingDir, quarantineDir, type Layout } from '../domain/layout.js'
import { errnoOf, sweepStagingNames } from '../system/durable-file.js'

/** Left-overs of downloads and uploads are kept this long, to be resumed. */
export const QUARANTINE_MS = 48 * 3600 * 1000

/** The folder of one operation below `images/.staging`; its name is in the operation's intent. */
export const stagingFolder = (layout: Layout, name: string) => join(imageStagingDir(layout), name)

/** Makes it: ours, and searchable by the worker, which is started in it. */
export async function makeStagingFolder(layout: Layout, name: string): Promise<void> {
  await makeSearchable(stagingFolder(layout, name))
}

/** A folder in it for what comes before the import, so that no name is met twice. */
export async function makeWorkFolder(layout: Layout, name: string): Promise<string> {
  const folder = join(stagingFolder(layout, name), 'work')
  await makeSearchable(folder)
  return folder
}

async function makeSearchable(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await chmod(folder, 0o711) // whatever our umask is
}

/** Absent is success. */
export async function removeStagingFolder(layout: Layout, name: string): Promise<void> {
  await rm(stagingFolder(layout, name), { recursive: true, force: true })
}

/** `images/.quarantine`, for us alone. */
export async function ensureQuarantine(layout: Layout): Promise<string> {
  const folder = quarantineDir(layout)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return folder
}

/**
 * For the start of the backend, after the journal has ended what was killed: removes what nothing names any more, and
 * downloads that nobody resumed for two days. `keepStaging`: an operation could not be ended, and may need its folder.
 */
export async function sweepImageFolders(
  layout: Layout,
  options: { keepStaging?: boolean; now?: number } = {},
): Promise<void> {
  await sweepStagingNames(layout.images)
  if (options.keepStaging !== true) await rm(imageStagingDir(layout), { recursive: true, force: true })
  for (const name of await namesIn(quarantineDir(layout))) {
    const path = join(quarantineDir(layout), name)
    if (SWEPT_BY_OTHERS.has(name)) continue
    const { mtimeMs } = await stat(path)
    if ((options.now ?? Date.now()) - mtimeMs > QUARANTINE_MS) await rm(path, { recursive: true, force: true })
  }
}

/** The uploads' own, and swept by them. */
const SWEPT_BY_OTHERS = new Set(['uploads', 'transfers'])

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}
