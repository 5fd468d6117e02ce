import { lstat, readFile, rename, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { imageIdSchema, type ImageId } from '../domain/ids.js'
import { removeImageSidecar } from '../storage/image-sidecars.js'
import type { Layout } from '../domain/layout.js'
import type { Store } from '../state/store.js'
import { errnoOf, writeFileDurably } from '../system/durable-file.js'

/**
 * What an import or a deletion is about to do, written into its staging folder first. Both commit by the image's record:
 * after a kill, names without a record go (the import is undone, the deletion finished), names with one stay.
 */
const intentSchema = z.object({
  imageId: imageIdSchema,
  /** Where the file that was moved into the folder belongs. */
  source: z.object({ name: z.string(), path: z.string() }).nullable(),
  /** Names that are about to be given or taken away, and the file of each. */
  published: z.array(z.object({ path: z.string(), ino: z.number(), dev: z.number() })),
})
export type ImportIntent = z.infer<typeof intentSchema>

const intentFile = (folder: string) => join(folder, 'intent.json')

export async function writeIntent(folder: string, intent: ImportIntent): Promise<void> {
  await writeFileDurably(intentFile(folder), JSON.stringify(intent))
}

/** Adds the names that are about to be given; each file's inode tells it from another's of the same name. */
export async function addPublishedNames(
  folder: string,
  imageId: ImageId,
  published: ImportIntent['published'],
): Promise<void> {
  const intent = await readIntent(folder)
  await writeIntent(folder, { imageId, source: intent?.source ?? null, published })
}

/** Which files have these names now; those that are missing are left out. */
export async function namesOf(paths: string[]): Promise<ImportIntent['published']> {
  const found = await Promise.all(paths.map(async (path) => ({ path, stats: await lstatOrNothing(path) })))
  return found.flatMap(({ path, stats }) => (stats ? [{ path, ino: stats.ino, dev: stats.dev }] : []))
}

/**
 * Ends what was killed: names go unless their image has a record, and a file that an import had moved away returns to its
 * place. Does nothing for a folder without an intent. The folder itself stays.
 */
export async function settleIntent(folder: string, layout: Layout, store: Store): Promise<void> {
  const intent = await readIntent(folder)
  if (!intent) return
  const committed = store.data.images.some((image) => image.id === intent.imageId)
  if (committed) return
  for (const { path, ino, dev } of intent.published) {
    const now = await lstatOrNothing(path)
    if (now && now.ino === ino && now.dev === dev) await unlink(path)
  }
  if (intent.published.length > 0) await removeImageSidecar(layout, intent.imageId)
  if (intent.source) await returnSource(folder, intent.source)
}

async function returnSource(folder: string, source: { name: string; path: string }): Promise<void> {
  const moved = join(folder, source.name)
  if (!(await lstatOrNothing(moved)) || (await lstatOrNothing(source.path))) return
  try {
    await rename(moved, source.path)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error // its folder was another staging folder, swept before this one
  }
}

async function readIntent(folder: string): Promise<ImportIntent | undefined> {
  try {
    return intentSchema.parse(JSON.parse(await readFile(intentFile(folder), 'utf8')))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}

async function lstatOrNothing(path: string) {
  try {
    return await lstat(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
