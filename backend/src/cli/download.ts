import { createHash } from 'node:crypto'
import { open, rename, rm, stat } from 'node:fs/promises'
import { request as plainRequest, type IncomingMessage } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { basename } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { formatBytes } from '../domain/units.js'
import { refusal, type Client } from './client.js'
import type { Io } from './io.js'
import { byteFigures, createPace } from './pace.js'
import { startProgress, type Progress } from './progress.js'

/** Nothing at all for so long: the connection is dead. Before the first byte the server may have much to prepare. */
const SILENCE_MS = 60_000
const PREPARING_MS = 6 * 3_600_000

export interface Downloaded {
  bytes: number
  sha256: string
}

/**
 * Saves what the server answers as `file`: first as `FILE.part`, and under its name when all of it is on the disk. What
 * is there of that name stays unless `replace`. On failure, and on Ctrl-C, nothing is left behind.
 */
export async function downloadFile(
  io: Io,
  client: Client,
  path: string,
  { file, replace }: { file: string; replace: boolean },
): Promise<Downloaded> {
  if (!replace && (await exists(file))) {
    throw new SandlabError('bad_request', `The file ${file} is there already.`, {
      hint: 'Choose another name, or add --force to replace it.',
    })
  }
  const part = `${file}.part`
  const handle = await open(part, 'w', 0o600).catch((error: unknown) => {
    throw new SandlabError('bad_request', `The file ${part} can't be written.`, { cause: error })
  })
  const words = `Saving ${basename(file)}`
  const progress = startProgress(io, `${words} · it is being prepared`)
  const stopped = new AbortController()
  const stopListening = io.onSignal(() => stopped.abort())
  try {
    const response = await ask(client, path, stopped.signal)
    const saved = await save(response, handle.write.bind(handle), progress, words)
    await handle.sync()
    await handle.close()
    await rename(part, file)
    progress.succeed(`Saved ${basename(file)}, ${formatBytes(saved.bytes)}`)
    return saved
  } catch (error) {
    progress.clear()
    await handle.close().catch(() => undefined) // it is closed after a rename that failed
    await rm(part, { force: true })
    if (stopped.signal.aborted) throw new SandlabError('cancelled', 'Cancelled; nothing was saved.', { cause: error })
    throw asSandlabError(error, client, file)
  } finally {
    stopListening()
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  )
}

/** Not `fetch`, which gives up after 300 s without an answer. */
function ask({ target }: Client, path: string, signal: AbortSignal): Promise<IncomingMessage> {
  const url = new URL(`${target.url}${path}`)
  const send = url.protocol === 'https:' ? tlsRequest : plainRequest
  return new Promise((resolve, reject) => {
    const asked = send(url, { headers: { authorization: `Bearer ${target.token}` }, signal }, (response) => {
      const { statusCode: status = 500 } = response
      response.setTimeout(SILENCE_MS, () => response.destroy(new Error('silent')))
      if (status === 200) resolve(response)
      else refused(response, status).then(reject, reject)
    })
    asked.setTimeout(PREPARING_MS, () => asked.destroy(new Error('silent')))
    asked.on('error', reject)
    asked.end()
  })
}

async function refused(response: IncomingMessage, status: number): Promise<SandlabError> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return refusal(new Response(Buffer.concat(chunks), { status }))
}

async function save(
  response: IncomingMessage,
  write: (bytes: Buffer) => Promise<unknown>,
  progress: Progress,
  words: string,
): Promise<Downloaded> {
  const told = Number(response.headers['content-length'] ?? Number.NaN)
  const total = Number.isSafeInteger(told) ? told : null
  const hash = createHash('sha256')
  const pace = createPace()
  let bytes = 0
  for await (const chunk of response) {
    const data = chunk as Buffer // no encoding is set
    await write(data)
    hash.update(data)
    bytes += data.length
    const figures = byteFigures(pace(Date.now(), bytes, total), bytes, total)
    progress.update({ words, share: total === null || total === 0 ? null : bytes / total, figures })
  }
  if (total !== null && bytes !== total) throw new Error(`${bytes} of ${total} bytes came`)
  return { bytes, sha256: hash.digest('hex') }
}

function asSandlabError(error: unknown, { target }: Client, file: string): unknown {
  if (error instanceof SandlabError) return error
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  if (code === 'ENOSPC') {
    return new SandlabError('no_space', `There is no room for ${file}.`, { hint: 'Nothing was saved.', cause: error })
  }
  return new SandlabError('unreachable', `The connection to ${target.url} broke; nothing was saved.`, {
    hint: 'Try again.',
    cause: error,
  })
}
