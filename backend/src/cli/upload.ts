import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { SandlabError } from '../domain/error.js'
import { formatBytes } from '../domain/units.js'
import type { Client } from './client.js'
import type { Io } from './io.js'
import { byteFigures, createPace } from './pace.js'
import { startProgress } from './progress.js'

const CHUNK_BYTES = 8 * 1024 * 1024
const TUS = { 'tus-resumable': '1.0.0' }
/** Waits between attempts after the connection broke; then we give up. */
const RETRY_AFTER_MS = [500, 1000, 2000, 4000, 8000]

/**
 * Sends a file by the tus 1.0 protocol (https://tus.io/protocols/resumable-upload) and returns the upload's id.
 * A broken connection is resumed where the server says it stands. Throws bad_request when the file can't be read.
 */
export async function uploadFile(io: Io, client: Client, file: string): Promise<string> {
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw new SandlabError('bad_request', `The file ${file} can't be read.`, { cause: error })
  })
  const progress = startProgress(io, `Sending ${basename(file)}`)
  const pace = createPace()
  try {
    const sizeBytes = (await handle.stat()).size
    const location = await createUpload(client, basename(file), sizeBytes)
    const chunk = Buffer.alloc(CHUNK_BYTES)
    let offset = 0
    let failures = 0
    while (offset < sizeBytes) {
      const figures = byteFigures(pace(Date.now(), offset, sizeBytes), offset, sizeBytes)
      progress.update({ words: `Sending ${basename(file)}`, share: offset / sizeBytes, figures })
      const { bytesRead } = await handle.read(chunk, 0, CHUNK_BYTES, offset)
      if (bytesRead === 0) throw new SandlabError('bad_request', `The file ${file} became shorter while it was sent.`)
      try {
        offset = await sendChunk(client, location, offset, chunk.subarray(0, bytesRead))
        failures = 0
      } catch (error) {
        const wait = RETRY_AFTER_MS[failures]
        if (!(error instanceof SandlabError) || error.code !== 'unreachable' || wait === undefined) throw error
        failures += 1
        await pause(wait)
        offset = await askOffset(client, location).catch(() => offset)
      }
    }
    progress.succeed(`Sent ${basename(file)}, ${formatBytes(sizeBytes)}`)
    return location.split('/').at(-1) ?? ''
  } catch (error) {
    progress.fail(`Sending ${basename(file)} failed`)
    throw error
  } finally {
    await handle.close()
  }
}

async function createUpload(client: Client, name: string, sizeBytes: number): Promise<string> {
  const response = await client.raw('/api/uploads', {
    method: 'POST',
    headers: {
      ...TUS,
      'upload-length': String(sizeBytes),
      'upload-metadata': `filename ${Buffer.from(name, 'utf8').toString('base64')}`,
    },
  })
  await response.arrayBuffer()
  const location = response.headers.get('location')
  if (!location) throw new SandlabError('internal', 'The server did not say where to send the file.')
  // Behind a proxy the server may name an address that only it knows; the path is what counts.
  return new URL(location, client.target.url).pathname.replace(
    new URL(client.target.url).pathname.replace(/\/$/, ''),
    '',
  )
}

async function sendChunk(
  client: Client,
  path: string,
  offset: number,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<number> {
  const response = await client.raw(path, {
    method: 'PATCH',
    headers: { ...TUS, 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' },
    body: bytes,
  })
  return readOffset(response)
}

async function askOffset(client: Client, path: string): Promise<number> {
  return readOffset(await client.raw(path, { method: 'HEAD', headers: TUS }))
}

async function readOffset(response: Response): Promise<number> {
  await response.arrayBuffer()
  const offset = Number(response.headers.get('upload-offset') ?? Number.NaN)
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new SandlabError('internal', 'The server did not say how much of the file it has.')
  }
  return offset
}
