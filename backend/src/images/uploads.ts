import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { Server, type Upload } from '@tus/server'
import { z } from 'zod'
import { ERROR_CODES, SandlabError, type ErrorBody } from '../domain/error.js'
import { uploadsDir, type Layout } from '../domain/layout.js'
import { filesOfTransfer, TRANSFER_FILES, type TransferFile } from '../domain/transfer.js'
import { formatBytes } from '../domain/units.js'
import { requireSpace } from '../storage/space.js'
import { errnoOf } from '../system/durable-file.js'
import type { Logger } from '../system/log.js'
import { QUARANTINE_MS } from './staging.js'
import { requireTransfer, sweepTransfers } from './transfers.js'
import { UploadStore } from './upload-store.js'

export interface UploadsOptions {
  layout: Layout
  /** Largest single upload. */
  maxBytes: number
  log: Logger
  /** Uploads that may wait at once, finished or not; default 20. */
  maxUploads?: number
  /** All waiting uploads together; default twice `maxBytes`. */
  maxTotalBytes?: number
  /**
   * Says who asks; throws to refuse. With it, an upload is seen only by who began it, for others it is absent. Without
   * it, whoever reaches `handle` may go on with any upload whose 128-bit id is known.
   */
  authorize?: (request: IncomingMessage) => Promise<string> | string
}

export interface Uploads {
  /** Answers a request of the tus 1.0 protocol under UPLOADS_PATH; the caller has checked the session before. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>
  /** The file of a finished upload. Throws `not_found`, `wrong_status` while bytes are missing. */
  pathOf(uploadId: string): Promise<string>
  /** Removes it, finished or not; absent = success. */
  discard(uploadId: string): Promise<void>
  /** The uploads of a transfer that its sender has begun, with how far they are. */
  ofTransfer(transferId: string, ownerId: string): Promise<TransferUpload[]>
  /** Removes what nobody touched for two days, transfers as well; once an hour by itself. Returns how many uploads. */
  sweep(now?: number): Promise<number>
  close(): void
}

export interface TransferUpload {
  uploadId: string
  name: TransferFile
  offset: number
  sizeBytes: number
}

export const UPLOADS_PATH = '/api/uploads'
const ID = /^[0-9a-f]{32}$/
const SWEEP_EVERY_MS = 3600 * 1000
/** GET would hand the bytes out again; nobody needs that. */
const METHODS = ['POST', 'HEAD', 'PATCH', 'DELETE', 'OPTIONS']

/**
 * Resumable uploads into `images/.quarantine/uploads`. File names, types and other metadata of the sender are not even
 * kept, but which file of which of its transfers it is; ids are ours and random.
 */
export function createUploads(options: UploadsOptions): Uploads {
  const folder = uploadsDir(options.layout)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const store = new UploadStore({ directory: folder })
  const owners = new Map<unknown, string>()
  const server = new TusServer({
    path: UPLOADS_PATH,
    datastore: store,
    maxSize: options.maxBytes,
    relativeLocation: true,
    allowedOrigins: () => false,
    namingFunction: () => randomBytes(16).toString('hex'),
    getFileIdFromRequest: (_request, lastPart) => (lastPart !== undefined && ID.test(lastPart) ? lastPart : undefined),
    async onIncomingRequest(request, id) {
      if (request.method === 'POST') return
      const owner = ownerOf(owners, request)
      const upload = await store.getUpload(id)
      if (owner !== undefined && upload.metadata?.['owner'] !== owner) throw notFound()
    },
    async onUploadCreate(request, upload) {
      if (upload.size === undefined || upload.size === 0) {
        throw new SandlabError('bad_request', 'An upload must state its size when it begins.')
      }
      const owner = ownerOf(owners, request)
      const part = await partOfTransfer(options.layout, owner, upload)
      if (part) for (const { uploadId } of await earlier(store, folder, part)) await remove(folder, uploadId)
      await requireQuota(store, folder, upload.size, options)
      return { metadata: { ...(owner === undefined ? {} : { owner }), ...part } }
    },
    onResponseError: (_request, error) => tusError(error, options.log),
  })
  const sweepAll = async (now = Date.now()) => {
    await sweepTransfers(options.layout, now)
    return sweep(folder, now)
  }
  const timer = setInterval(() => {
    sweepAll().catch((error: unknown) => options.log.warn({ err: error }, 'the uploads could not be swept'))
  }, SWEEP_EVERY_MS)
  timer.unref()
  return {
    async handle(request, response) {
      if (!METHODS.includes(request.method ?? '')) {
        throw new SandlabError('not_found', 'Uploads are not given out again.')
      }
      const owner = await options.authorize?.(request)
      if (owner !== undefined) owners.set(request, owner)
      try {
        await server.handle(request, response)
      } finally {
        owners.delete(request)
      }
    },
    pathOf: (uploadId) => finishedFile(store, folder, uploadId),
    async discard(uploadId) {
      if (ID.test(uploadId)) await remove(folder, uploadId)
    },
    ofTransfer: (transfer, owner) => earlier(store, folder, { transfer, owner }),
    sweep: sweepAll,
    close: () => clearInterval(timer),
  }
}

/** What its metadata says that it is a part of, when that is so. Throws `not_found`, `bad_request`. */
async function partOfTransfer(
  layout: Layout,
  owner: string | undefined,
  { metadata, size }: Upload,
): Promise<{ transfer: string; file: string; owner: string } | undefined> {
  const transfer = metadata?.['transfer']
  if (typeof transfer !== 'string') return undefined
  const id = z.uuid().safeParse(transfer).data ?? ''
  const { request } = await requireTransfer(layout, id, owner ?? '')
  const file = filesOfTransfer(request).find(({ name }) => name === metadata?.['file'])
  if (file && file.sizeBytes === size) return { transfer, file: file.name, owner: owner ?? '' }
  throw new SandlabError('bad_request', 'This upload is none of the files that its transfer has announced.')
}

async function earlier(
  store: UploadStore,
  folder: string,
  of: { transfer: string; owner: string; file?: string },
): Promise<TransferUpload[]> {
  const found: TransferUpload[] = []
  for (const uploadId of (await readdir(folder)).filter((name) => ID.test(name))) {
    const upload = await store.getUpload(uploadId).catch(() => undefined) // gone meanwhile
    const { owner, transfer, file } = upload?.metadata ?? {}
    const name = TRANSFER_FILES.find((one) => one === file)
    if (!upload || name === undefined || transfer !== of.transfer || owner !== of.owner) continue
    if (of.file !== undefined && of.file !== name) continue
    found.push({ uploadId, name, offset: upload.offset, sizeBytes: upload.size ?? 0 })
  }
  return found
}

/** The library answers a wrong version or header with bare text; here every error has the shape of the API's. */
class TusServer extends Server {
  override write(...[context, headers, status, body]: Parameters<Server['write']>): Promise<Response> {
    if (status < 400) return super.write(context, headers, status, body)
    headers.set('Content-Type', 'application/json; charset=utf-8')
    const shaped = body?.startsWith('{') === true ? body : tusAnswer({ status_code: status, body: body ?? '' }).body
    return super.write(context, headers, status, shaped)
  }
}

/** The library's requests wrap Node's, by which `handle` has noted who asks. */
function ownerOf(
  owners: Map<unknown, string>,
  request: { runtime?: { node?: { req?: unknown } | undefined } | undefined },
) {
  return owners.get(request.runtime?.node?.req)
}

async function requireQuota(store: UploadStore, folder: string, size: number, options: UploadsOptions): Promise<void> {
  const ids = (await readdir(folder)).filter((name) => ID.test(name))
  const maxUploads = options.maxUploads ?? 20
  if (ids.length >= maxUploads) {
    throw new SandlabError('quota_reached', `${ids.length} uploads are waiting; at most ${maxUploads} may.`, {
      hint: 'Import or cancel one of them first.',
    })
  }
  const announced = await Promise.all(
    ids.map(async (id) => (await store.getUpload(id).catch(() => undefined))?.size ?? 0),
  )
  const held = announced.reduce((sum, bytes) => sum + bytes, 0)
  const maxTotalBytes = options.maxTotalBytes ?? 2 * options.maxBytes
  if (held + size > maxTotalBytes) {
    throw new SandlabError(
      'quota_reached',
      `The waiting uploads have ${formatBytes(held)} together; with this one it would be more than ${formatBytes(maxTotalBytes)}.`,
      { hint: 'Import or cancel one of them first.' },
    )
  }
  await requireSpace({ path: folder, bytes: size, what: 'take this upload' })
}

async function finishedFile(store: UploadStore, folder: string, uploadId: string): Promise<string> {
  const upload = ID.test(uploadId) ? await store.getUpload(uploadId).catch(() => undefined) : undefined
  if (!upload) throw notFound()
  if (upload.size === undefined || upload.offset !== upload.size) {
    throw new SandlabError(
      'wrong_status',
      `The upload is not complete: ${formatBytes(upload.offset)} of ${formatBytes(upload.size ?? 0)} are here.`,
      { hint: 'Resume it first.', details: { offset: upload.offset, size: upload.size ?? null } },
    )
  }
  return join(folder, uploadId)
}

function notFound(): SandlabError {
  return new SandlabError('not_found', 'There is no such upload.', { hint: 'It may have been imported or cancelled.' })
}

async function remove(folder: string, uploadId: string): Promise<void> {
  await rm(join(folder, uploadId), { force: true })
  await rm(join(folder, `${uploadId}.json`), { force: true })
}

async function sweep(folder: string, now: number): Promise<number> {
  const stale = new Set<string>()
  const fresh = new Set<string>()
  for (const name of await readdir(folder)) {
    const id = name.replace(/\.json$/, '')
    const age = await ageOf(join(folder, name), now)
    if (age === undefined) continue
    if (age > QUARANTINE_MS) stale.add(id)
    else fresh.add(id)
  }
  const gone = [...stale].filter((id) => !fresh.has(id))
  for (const id of gone) await remove(folder, id)
  return gone.length
}

async function ageOf(path: string, now: number): Promise<number | undefined> {
  try {
    return now - (await stat(path)).mtimeMs
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined // finished meanwhile
    throw error
  }
}

/** Our errors as the API answers them; the protocol's own keep their status and get the same shape. */
function tusError(error: Error | { status_code: number; body: string }, log: Logger) {
  if (error instanceof SandlabError) return answer(error, ERROR_CODES[error.code].status)
  if ('status_code' in error && error.status_code < 500) return tusAnswer(error)
  log.error({ err: error }, 'an upload failed')
  return answer(new SandlabError('internal', 'Something failed that should not.'), 500)
}

function tusAnswer({ status_code: status, body }: { status_code: number; body: string }) {
  const code = status === 413 ? 'too_large' : status === 404 || status === 410 ? 'not_found' : ('bad_request' as const)
  return answer(new SandlabError(code, body.trim() || 'The upload protocol has no such request.'), status)
}

function answer(error: SandlabError, status: number) {
  const body: ErrorBody = {
    error: { code: error.code, message: error.message, hint: error.hint, details: error.details },
  }
  return { status_code: status, body: JSON.stringify(body) }
}
