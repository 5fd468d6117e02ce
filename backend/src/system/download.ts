import type { IncomingMessage } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { isSandlabError, SandlabError } from '../domain/error.js'
import { formatBytes, MIB } from '../domain/units.js'
import { appendToPart, freshPart, openPart, restartPart, type KeptPart } from './download-part.js'
import { httpGet } from './http-get.js'

export interface Download {
  url: string
  /** Where the bytes go. Kept when the download fails, with `<path>.json` beside it, so that the next one goes on. */
  path: string
  algorithm: 'sha256' | 'sha512'
  maxBytes: number
  signal: AbortSignal
  /** Before the first byte of each attempt, with what is there already; may throw to stop. */
  onStart?: (haveBytes: number, totalBytes: number | null) => Promise<void>
  onBytes?: (done: number, total: number | null) => void
  /** A connection was lost; another attempt follows. */
  onRetry?: (reason: string) => void
  /** In a row, without a MiB of progress. Default 6. */
  maxAttempts?: number
  /** Before the second attempt, doubled each time up to 30 s. Default 1 s. */
  retryDelayMs?: number
  /** Default 30 s. */
  stallTimeoutMs?: number
}

export interface Downloaded {
  bytes: number
  /** Lower-case hex, of all that is in the file. */
  digest: string
  /** Attempts that went on where an earlier one had stopped. */
  resumed: number
}

const MAX_DELAY_MS = 30_000
const PROGRESS_BYTES = MIB

/**
 * Downloads to a file, over as many connections as it takes: a lost one is followed by a request for the rest (`Range`,
 * with `If-Range` so that a changed file starts anew), also after a restart of the backend. The digest is computed on the
 * way; comparing it is the caller's.
 *
 * Throws `download_failed`, `too_large`, `no_space`, `cancelled`; the part stays and can be resumed.
 */
export async function downloadFile(download: Download): Promise<Downloaded> {
  try {
    return await downloadToPart(download)
  } catch (error) {
    if (download.signal.aborted) throw new SandlabError('cancelled', 'The download was cancelled.', { cause: error })
    throw error
  }
}

async function downloadToPart(download: Download): Promise<Downloaded> {
  const progress = await openPart(download, download.signal)
  try {
    await tryUntilWhole(download, progress)
    return { bytes: progress.have, digest: progress.hash.digest('hex'), resumed: progress.resumed }
  } finally {
    await progress.file.close()
  }
}

async function tryUntilWhole(download: Download, progress: KeptPart): Promise<void> {
  const maxAttempts = download.maxAttempts ?? 6
  let attempt = 1
  for (;;) {
    const before = progress.have
    try {
      return await attemptOnce(download, progress)
    } catch (error) {
      if (download.signal.aborted || isSandlabError(error)) throw error
      const reason = error instanceof Error ? error.message : String(error)
      attempt = progress.have - before >= PROGRESS_BYTES ? 1 : attempt + 1
      if (attempt > maxAttempts) {
        throw new SandlabError('download_failed', `Could not download ${download.url}: ${reason}.`, {
          hint: 'Check the network, then try again: what is there already is kept for two days.',
          cause: error,
        })
      }
      download.onRetry?.(reason)
      const delay = Math.min(MAX_DELAY_MS, (download.retryDelayMs ?? 1000) * 2 ** (attempt - 2))
      await wait(delay, undefined, { signal: download.signal })
    }
  }
}

/** Returns when the file is whole; a plain error asks for another attempt. */
async function attemptOnce(download: Download, progress: KeptPart): Promise<void> {
  const { part, have } = progress
  const resuming = have > 0
  const { response, url } = await httpGet(resuming ? part.from : part.url, {
    headers: resuming ? rangeHeaders(part, have) : {},
    signal: download.signal,
    stallTimeoutMs: download.stallTimeoutMs ?? 30_000,
    allowDowngrade: true,
  })
  try {
    const total = await accept(download, progress, response, url)
    if (total === 'whole') return
    await receive(download, progress, response, total)
  } finally {
    response.destroy()
  }
}

function rangeHeaders(part: KeptPart['part'], have: number): Record<string, string> {
  return { range: `bytes=${have}-`, ...(part.validator === null ? {} : { 'if-range': part.validator }) }
}

/** Looks at the status: from where the body goes on, or why there is none. Returns the total size, where known. */
async function accept(
  download: Download,
  progress: KeptPart,
  response: IncomingMessage,
  url: string,
): Promise<number | null | 'whole'> {
  const status = response.statusCode ?? 0
  const range = /^bytes (?:(\d+)-\d+|\*)\/(\d+|\*)$/.exec(response.headers['content-range'] ?? '')
  if (status === 206 && progress.have > 0 && Number(range?.[1]) === progress.have) {
    const total = range?.[2] === undefined || range[2] === '*' ? null : Number(range[2])
    progress.resumed += 1
    await download.onStart?.(progress.have, total)
    return total
  }
  if (status === 416 && Number(range?.[2]) === progress.have) return 'whole'
  if (status === 200) {
    await restartPart(download, progress, { url: download.url, from: url, validator: validatorOf(response) })
    const total = contentLength(response)
    await download.onStart?.(0, total)
    return total
  }
  await explainRefusal(download, progress, status)
  throw new Error(`the server answered ${status}`)
}

/** What can't be mended by asking again throws; for the rest the next attempt is prepared. */
async function explainRefusal(download: Download, progress: KeptPart, status: number): Promise<void> {
  if (status >= 500 || status === 408 || status === 429) return
  // A mirror that no longer has it, or a range it does not understand: once more from the start of the address itself.
  if (progress.have > 0) return restartPart(download, progress, freshPart(download.url))
  throw new SandlabError('download_failed', `${new URL(download.url).host} answered ${status} for ${download.url}.`, {
    hint:
      status === 404 || status === 410
        ? 'The publisher has removed this version: enter a newer one in images/catalog.json.'
        : 'Open the address in a browser to see what the publisher says.',
    details: { status },
  })
}

/** Only what names the exact bytes: weak ETags do not (RFC 9110, section 13.1.5). */
function validatorOf(response: IncomingMessage): string | null {
  const { etag } = response.headers
  if (etag !== undefined && !etag.startsWith('W/')) return etag
  return response.headers['last-modified'] ?? null
}

function contentLength(response: IncomingMessage): number | null {
  const text = response.headers['content-length']
  return text === undefined ? null : Number(text)
}

async function receive(
  download: Download,
  progress: KeptPart,
  response: IncomingMessage,
  total: number | null,
): Promise<void> {
  refuseTooLarge(download, total ?? 0)
  for await (const chunk of response as AsyncIterable<Buffer>) {
    refuseTooLarge(download, progress.have + chunk.length)
    await appendToPart(progress, chunk)
    download.onBytes?.(progress.have, total)
  }
  if (total !== null && progress.have < total)
    throw new Error(`the connection ended after ${formatBytes(progress.have)}`)
}

function refuseTooLarge(download: Download, bytes: number): void {
  if (bytes <= download.maxBytes) return
  throw new SandlabError(
    'too_large',
    `The download is larger than expected: ${formatBytes(bytes)}, at most ${formatBytes(download.maxBytes)} are taken.`,
    { hint: 'See whether the address in images/catalog.json is the right one.' },
  )
}
