import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { catalogEntrySchema, type CatalogEntry } from '../domain/image.js'
import { catalogFile, type Layout } from '../domain/layout.js'
import { errnoOf } from '../system/durable-file.js'

const catalogSchema = z.strictObject({
  /** For the people who maintain the file. */
  about: z.string().optional(),
  images: z.array(catalogEntrySchema),
})

/** The one of the installation, for data folders that have none of their own. */
const SHIPPED = fileURLToPath(new URL('../../../images/catalog.json', import.meta.url))

/**
 * The public images that can be pulled: `images/catalog.json` of the data folder, which an administrator may edit, else
 * the shipped one. Throws `bad_config` naming the entry and field that is wrong.
 */
export async function readCatalog(layout: Layout): Promise<CatalogEntry[]> {
  const path = catalogFile(layout)
  const own = await readIfThere(path)
  return own === undefined
    ? parseCatalog((await readIfThere(SHIPPED)) ?? '{"images":[]}', SHIPPED)
    : parseCatalog(own, path)
}

export function parseCatalog(text: string, path: string): CatalogEntry[] {
  let content: unknown
  try {
    content = JSON.parse(text)
  } catch (error) {
    throw new SandlabError('bad_config', `The image catalogue ${path} is not valid JSON.`, { cause: error })
  }
  const parsed = catalogSchema.safeParse(content)
  if (!parsed.success) {
    const faults = parsed.error.issues.slice(0, 10).map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    throw new SandlabError('bad_config', `The image catalogue ${path} is wrong: ${faults.join('; ')}.`, {
      hint: 'Correct it, or remove it to use the shipped one.',
    })
  }
  return parsed.data.images
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
