import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isSandlabError, SandlabError } from '../domain/error.js'
import type { CatalogEntry, Image } from '../domain/image.js'
import type { Layout } from '../domain/layout.js'
import { KIB, MIB } from '../domain/units.js'
import type { Store } from '../state/store.js'
import { requireSpace } from '../storage/space.js'
import { downloadFile, type Download } from '../system/download.js'
import { discardPart } from '../system/download-part.js'
import { getText } from '../system/http-get.js'
import type { Logger } from '../system/log.js'
import type { OperationHandle } from '../transactions/operations.js'
import { readCatalog } from './catalog.js'
import { checksumIn } from './checksum-file.js'
import { DEFAULT_LIMITS, type ImageLimits } from './image-limits.js'
import { importImage } from './import-room.js'
import { portionOf } from './progress.js'
import { imageExists } from './publication.js'
import { ensureQuarantine, newStagingFolder } from './staging.js'
import { unpack, type Unpacking } from './unpack.js'

export interface PullRequest {
  layout: Layout
  store: Store
  log: Logger
  id: string
  op: OperationHandle
  catalog?: CatalogEntry[]
  limits?: ImageLimits
  /** How patient the network part is; for tests. */
  network?: Pick<Download, 'maxAttempts' | 'retryDelayMs' | 'stallTimeoutMs'>
}

/** Downloads whose part file is written to right now: a second one would write into the same file. */
const pulling = new Set<string>()
const CHECKSUM_FILE_BYTES = 512 * KIB

/**
 * Fetches an image of the catalogue and makes it a base image: download with resume, checksum of the publisher, unpacking,
 * then the import room like any other file.
 *
 * Throws `not_found`, `image_exists`, `busy`, `download_failed`, `checksum_mismatch` (the bytes are deleted), `too_large`,
 * `no_space`, `image_refused`, `cancelled`. What was downloaded is kept for two days, unless it was wrong.
 */
export async function pullImage(request: PullRequest): Promise<Image> {
  const { layout, store, id } = request
  const entry = (request.catalog ?? (await readCatalog(layout))).find((one) => one.id === id)
  if (!entry) {
    throw new SandlabError('not_found', `The catalogue has no image ${id}.`, { hint: 'See `sandlabx image catalog`.' })
  }
  if (store.data.images.some((image) => image.id === id)) throw imageExists(id)
  const part = join(await ensureQuarantine(layout), `${entry.id}.part`)
  if (pulling.has(part)) throw new SandlabError('busy', `The image ${id} is being downloaded already.`)
  pulling.add(part)
  try {
    return await pull(request, entry, part)
  } finally {
    pulling.delete(part)
  }
}

async function pull(request: PullRequest, entry: CatalogEntry, part: string): Promise<Image> {
  const expected = await expectedChecksum(request, entry)
  const bytes = await download(request, entry, part, expected)
  try {
    const image =
      entry.compression === 'none'
        ? await importPulled(request, entry, part)
        : await unpackAndImport(request, entry, { path: part, sizeBytes: bytes, compression: entry.compression })
    await discardPart(part)
    return image
  } catch (error) {
    // The publisher's own file, of the right checksum, is none that we take: keeping it for a resume helps nobody.
    if (isSandlabError(error, 'image_refused')) await discardPart(part)
    throw error
  }
}

async function expectedChecksum(request: PullRequest, entry: CatalogEntry): Promise<string> {
  const { value, url, algorithm } = entry.checksum
  if (value !== null) return value
  if (url === null) {
    throw new SandlabError('bad_config', `The catalogue has no checksum for ${entry.id}, so it can't be verified.`, {
      hint: 'Enter its checksum, or the address of the publisher’s checksum file, in images/catalog.json.',
    })
  }
  request.op.step('Fetching the publisher’s checksum', 0)
  const text = await fetchChecksumFile(request, url)
  const found = checksumIn(text, decodeURIComponent(new URL(entry.url).pathname.split('/').at(-1) ?? ''), algorithm)
  if (found !== undefined) return found
  throw new SandlabError('download_failed', `The publisher's checksum file ${url} does not name this image.`, {
    hint: 'The publisher has probably released a newer version: enter it in images/catalog.json.',
  })
}

async function fetchChecksumFile(request: PullRequest, url: string): Promise<string> {
  const { signal } = request.op
  try {
    const stallTimeoutMs = request.network?.stallTimeoutMs ?? 30_000
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

async function download(request: PullRequest, entry: CatalogEntry, part: string, expected: string): Promise<number> {
  const { op } = request
  const limits = request.limits ?? DEFAULT_LIMITS
  op.step('Downloading', 0)
  const { bytes, digest, resumed } = await downloadOrDiscard({
    ...request.network,
    url: entry.url,
    path: part,
    algorithm: entry.checksum.algorithm,
    // The catalogue's size may be approximate; twice and a bit is still no way to fill a disk.
    maxBytes: Math.min(limits.maxFileBytes, 2 * entry.sizeBytes + 64 * MIB),
    signal: op.signal,
    onStart: async (have, total) => {
      const whole = total ?? entry.sizeBytes
      await requireSpace({ path: part, bytes: whole - have + whole, what: `download ${entry.title}` })
    },
    onBytes: (done, total) => {
      op.bytes(done, total)
      op.step('Downloading', 0.8 * Math.min(1, done / (total ?? entry.sizeBytes)))
    },
    onRetry: (reason) => op.log(`The connection was lost (${reason}); going on.`),
  })
  request.log.info({ imageId: entry.id, bytes, resumed }, 'image downloaded')
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

async function unpackAndImport(
  request: PullRequest,
  entry: CatalogEntry,
  packed: Pick<Unpacking, 'path' | 'sizeBytes' | 'compression'>,
): Promise<Image> {
  const { layout, op } = request
  const folder = await newStagingFolder(layout, op.id)
  try {
    op.step('Unpacking', 0.8)
    const { maxFileBytes } = request.limits ?? DEFAULT_LIMITS
    const path = await unpack({ ...packed, folder, maxBytes: maxFileBytes, signal: op.signal })
    return await importPulled(request, entry, path)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function importPulled(request: PullRequest, entry: CatalogEntry, path: string): Promise<Image> {
  const { id, title, description, version, firmware, cloudInit, loginNotes, minimumMemoryMib } = entry
  return importImage({
    layout: request.layout,
    store: request.store,
    log: request.log,
    source: { path, consume: true },
    about: { id, title, description, origin: 'pulled', version, firmware, cloudInit, loginNotes, minimumMemoryMib },
    op: portionOf(request.op, 0.8, 1),
    ...(request.limits ? { limits: request.limits } : {}),
  })
}
