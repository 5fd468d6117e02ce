import { randomUUID } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { isSandlabError, SandlabError } from '../domain/error.js'
import { catalogEntrySchema, type CatalogEntry } from '../domain/image.js'
import { quarantineDir, type Layout } from '../domain/layout.js'
import type { OperationPlan } from '../domain/plan.js'
import { KIB, MIB } from '../domain/units.js'
import { requireSpace } from '../storage/space.js'
import { downloadFile, type Download } from '../system/download.js'
import { discardPart } from '../system/download-part.js'
import { getText } from '../system/http-get.js'
import type { OperationHandle } from '../transactions/operations.js'
import type { Procedure } from '../transactions/procedure.js'
import { readCatalog } from './catalog.js'
import { checksumIn } from './checksum-file.js'
import type { ImageActor, ImagesContext, StartedImage } from './context.js'
import { DEFAULT_LIMITS } from './image-limits.js'
import type { ImageAbout } from './image-record.js'
import {
  aroundMaking,
  importSteps,
  makingSchema,
  refuseTaken,
  resourcesOf,
  stagingStep,
  usingUp,
} from './import-steps.js'
import { planMaking, startMaking } from './making.js'
import { ensureQuarantine, makeWorkFolder } from './staging.js'
import { unpack } from './unpack.js'

export interface PullOptions {
  catalog?: CatalogEntry[]
  /** How patient the network part is; for tests. */
  network?: Pick<Download, 'maxAttempts' | 'retryDelayMs' | 'stallTimeoutMs'>
}

const intentSchema = makingSchema.extend({ entry: catalogEntrySchema })
type PullIntent = z.infer<typeof intentSchema>

const CHECKSUM_FILE_BYTES = 512 * KIB

/** The download, which is kept and resumed by a later pull, then the steps of every import. */
export function pullProcedure(context: ImagesContext, options: PullOptions = {}): Procedure<PullIntent> {
  const { layout } = context
  let path: string | undefined
  const discard = async ({ entry }: PullIntent) => discardPart(partOf(layout, entry))
  const { steps, commit, after } = importSteps<PullIntent>(context, {
    given({ entry }) {
      if (path === undefined) throw new Error(`${entry.id} is imported before it is downloaded`)
      return { path, about: aboutOf(entry) }
    },
    discard,
    share: [0.8, 1],
  })
  return {
    kind: 'image.pull',
    intent: intentSchema,
    resources: resourcesOf,
    around: (intent, work) => aroundMaking(context, intent, work),
    steps: [
      stagingStep(context),
      {
        title: 'Downloading',
        async do(intent, op) {
          const part = join(await ensureQuarantine(layout), `${intent.entry.id}.part`)
          const pull = { ...context, ...options, ...intent, part, op }
          const bytes = await download(pull, await expectedChecksum(pull))
          path = await usingUp(['image_refused'], () => unpacked(pull, bytes), [() => discard(intent)])
        },
      },
      ...steps,
    ],
    commit,
    after,
  }
}

/**
 * Fetches an image of the catalogue and makes it a base image: download with resume, checksum of the publisher, unpacking,
 * then the import room like any other file.
 *
 * Throws `not_found`, `image_exists`, `key_reused`; the operation fails with `busy`, `download_failed`,
 * `checksum_mismatch` (the bytes are deleted), `too_large`, `no_space`, `image_refused`, `cancelled`. What was downloaded
 * is kept for two days, unless it was wrong.
 */
export async function pullImage(
  context: ImagesContext,
  id: string,
  actor: ImageActor,
  options: PullOptions = {},
): Promise<StartedImage> {
  const entry = await entryOf(context, id, options)
  return startMaking(context, pullProcedure(context, options), actor, `Download ${entry.title}`, () =>
    intentOf(context, entry),
  )
}

/** What a pull would take; nothing is downloaded. Throws `not_found`. */
export async function planPull(context: ImagesContext, id: string, options: PullOptions = {}): Promise<OperationPlan> {
  const entry = await entryOf(context, id, options)
  return planMaking(context, () => intentOf(context, entry), {
    kind: 'image.pull',
    title: `Download ${entry.title}`,
    imageId: entry.id,
    steps: [
      `Download it from ${new URL(entry.url).host}, going on with what is here already`,
      'Compare its checksum with the publisher’s',
      ...(entry.compression === 'none' ? [] : ['Unpack it']),
      'Look at the file',
      'Convert it to a clean copy',
      'Publish it, read-only, with its checksum',
    ],
  })
}

async function entryOf({ layout }: ImagesContext, id: string, { catalog }: PullOptions): Promise<CatalogEntry> {
  const entry = (catalog ?? (await readCatalog(layout))).find((one) => one.id === id)
  if (entry) return entry
  throw new SandlabError('not_found', `The catalogue has no image ${id}.`, { hint: 'See `sandlabx image catalog`.' })
}

async function intentOf(context: ImagesContext, entry: CatalogEntry): Promise<PullIntent> {
  refuseTaken(context.store.data, entry.id)
  const part = partOf(context.layout, entry)
  const have = await stat(part).then(
    ({ size }) => size,
    () => 0, // nothing to go on with
  )
  return {
    imageId: entry.id,
    folder: randomUUID(),
    consumes: entry.compression === 'none' ? { path: part, mode: 0o600 } : null,
    spaceBytes: roomForDownload(entry.sizeBytes, have),
    entry,
  }
}

/** Bytes still to come, and as much again for what the file becomes. */
const roomForDownload = (whole: number, have: number) => Math.max(0, whole - have) + whole

const partOf = (layout: Layout, entry: CatalogEntry) => join(quarantineDir(layout), `${entry.id}.part`)

/** One run. */
interface Pull extends ImagesContext, PullOptions {
  entry: CatalogEntry
  /** The file in the quarantine that grows by downloads. */
  part: string
  folder: string
  spaceBytes: number
  op: OperationHandle
}

async function expectedChecksum(pull: Pull): Promise<string> {
  const { entry } = pull
  const { value, url, algorithm } = entry.checksum
  if (value !== null) return value
  if (url === null) {
    throw new SandlabError('bad_config', `The catalogue has no checksum for ${entry.id}, so it can't be verified.`, {
      hint: 'Enter its checksum, or the address of the publisher’s checksum file, in images/catalog.json.',
    })
  }
  pull.op.step('Fetching the publisher’s checksum', 0)
  const text = await fetchChecksumFile(pull, url)
  const found = checksumIn(text, decodeURIComponent(new URL(entry.url).pathname.split('/').at(-1) ?? ''), algorithm)
  if (found !== undefined) return found
  throw new SandlabError('download_failed', `The publisher's checksum file ${url} does not name this image.`, {
    hint: 'The publisher has probably released a newer version: enter it in images/catalog.json.',
  })
}

async function fetchChecksumFile({ op, network }: Pull, url: string): Promise<string> {
  const { signal } = op
  try {
    const stallTimeoutMs = network?.stallTimeoutMs ?? 30_000
    return await getText(url, CHECKSUM_FILE_BYTES, { signal, stallTimeoutMs, allowDowngrade: false })
  } catch (error) {
    if (signal.aborted) throw new SandlabError('cancelled', 'The download was cancelled.', { cause: error })
    if (error instanceof SandlabError) throw error
    throw new SandlabError('download_failed', `Could not fetch the publisher's checksum file ${url}.`, {
      hint: 'Check the network, then try again.',
      cause: error,
    })
  }
}

async function download(pull: Pull, expected: string): Promise<number> {
  const { op, entry, part } = pull
  const limits = pull.limits ?? DEFAULT_LIMITS
  op.step('Downloading', 0)
  const { bytes, digest, resumed } = await downloadOrDiscard({
    ...pull.network,
    url: entry.url,
    path: part,
    algorithm: entry.checksum.algorithm,
    // The catalogue's size may be approximate; twice and a bit is still no way to fill a disk.
    maxBytes: Math.min(limits.maxFileBytes, 2 * entry.sizeBytes + 64 * MIB),
    signal: op.signal,
    onStart: async (have, total) => {
      const bytes = roomForDownload(total ?? entry.sizeBytes, have) - pull.spaceBytes // the catalogue said less
      if (bytes > 0) await requireSpace({ path: part, bytes, what: `download ${entry.title}` })
    },
    onBytes: (done, total) => {
      op.bytes(done, total)
      op.step('Downloading', 0.8 * Math.min(1, done / (total ?? entry.sizeBytes)))
    },
    onRetry: (reason) => op.log(`The connection was lost (${reason}); going on.`),
  })
  pull.log.info({ imageId: entry.id, bytes, resumed }, 'image downloaded')
  if (digest === expected) return bytes
  await discardPart(part)
  throw new SandlabError(
    'checksum_mismatch',
    `What was downloaded as ${entry.title} is not what the publisher announced: its ${entry.checksum.algorithm} differs. It was deleted.`,
    {
      hint: 'Try again; if it stays, the publisher has changed the file: compare the checksum on their page.',
      details: { algorithm: entry.checksum.algorithm, expected, actual: digest, url: entry.url },
    },
  )
}

/** A part that is larger than the whole may be can't be gone on with. */
async function downloadOrDiscard(options: Download) {
  try {
    return await downloadFile(options)
  } catch (error) {
    if (isSandlabError(error, 'too_large')) await discardPart(options.path)
    throw error
  }
}

/** The disk itself: the download, or what it is unpacked to. */
async function unpacked({ entry, part, layout, folder, limits, op }: Pull, sizeBytes: number): Promise<string> {
  const { compression } = entry
  if (compression === 'none') return part
  op.step('Unpacking', 0.8)
  const { maxFileBytes } = limits ?? DEFAULT_LIMITS
  const packed = { path: part, sizeBytes, compression }
  const work = await makeWorkFolder(layout, folder)
  return unpack({ ...packed, folder: work, maxBytes: maxFileBytes, signal: op.signal })
}

function aboutOf(entry: CatalogEntry): ImageAbout {
  const { id, title, description, version, firmware, cloudInit, loginNotes, minimumMemoryMib } = entry
  return { id, title, description, origin: 'pulled', version, firmware, cloudInit, loginNotes, minimumMemoryMib }
}
