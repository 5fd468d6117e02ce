import { randomBytes } from 'node:crypto'
import { chmod, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { imageStagingDir, quarantineDir, type Layout } from '../domain/layout.js'
import type { Store } from '../state/store.js'
import { errnoOf } from '../system/durable-file.js'
import { settleIntent } from './intent.js'

/** Left-overs of downloads and uploads are kept this long, to be resumed. */
export const QUARANTINE_MS = 48 * 3600 * 1000

/**
 * A new folder below `images/.staging`, named after its operation. Ours, and searchable by the worker, which is started
 * in it; the caller removes it.
 */
export async function newStagingFolder(layout: Layout, operationId: string): Promise<string> {
  const folder = join(imageStagingDir(layout), `${operationId}-${randomBytes(4).toString('hex')}`)
  await mkdir(folder, { recursive: true })
  await chmod(folder, 0o711) // whatever our umask is
  return folder
}

/** `images/.quarantine`, for us alone. */
export async function ensureQuarantine(layout: Layout): Promise<string> {
  const folder = quarantineDir(layout)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  return folder
}

/**
 * For the start of the backend, before any operation runs: settles imports and deletions that were killed, and removes what they left in
 * staging and downloads that nobody resumed for two days.
 */
export async function sweepImageFolders(layout: Layout, store: Store, now = Date.now()): Promise<void> {
  for (const name of await namesIn(imageStagingDir(layout))) {
    const folder = join(imageStagingDir(layout), name)
    await settleIntent(folder, layout, store)
    await rm(folder, { recursive: true, force: true })
  }
  for (const name of await namesIn(quarantineDir(layout))) {
    const path = join(quarantineDir(layout), name)
    if (name === 'uploads') continue // swept by the uploads themselves
    const { mtimeMs } = await stat(path)
    if (now - mtimeMs > QUARANTINE_MS) await rm(path, { recursive: true, force: true })
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}
