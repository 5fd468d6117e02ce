import { readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { request as httpRequest, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import express from 'express'
import { ERROR_CODES, isSandlabError } from '../../src/domain/error.js'
import { UploadStore } from '../../src/images/upload-store.js'
import { createUploads, UPLOADS_PATH, type Uploads, type UploadsOptions } from '../../src/images/uploads.js'
import { craftQcow2 } from '../support/hostile-images.js'
import { about, importImage, openImageRoom, testOperation, type ImageRoom } from '../support/image-room.js'

const MIB = 1024 * 1024
const FILE = craftQcow2()
const TUS = { 'tus-resumable': '1.0.0' }

let room: ImageRoom
let server: Server
let uploads: Uploads
let base: string

beforeEach(async () => {
  room = await openImageRoom()
  await start()
})
afterEach(async () => {
  await stop()
  await room.close()
})

/** As the backend mounts them: behind whatever checks the session. */
async function start(options: Partial<UploadsOptions> = {}): Promise<void> {
  uploads = createUploads({ layout: room.layout, maxBytes: 4 * MIB, log: room.log, ...options })
  const app = express()
  app.all(`${UPLOADS_PATH}{/*rest}`, (request, response, next) => {
    uploads.handle(request, response).catch(next)
  })
  app.use((error: unknown, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
    const status = isSandlabError(error) ? ERROR_CODES[error.code].status : 500
    response.status(status).json({ error: { code: isSandlabError(error) ? error.code : 'internal' } })
  })
  server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  // The address of a server that listens on TCP is an object.
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function stop(): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

function begin(size: number, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${base}${UPLOADS_PATH}`, {
    method: 'POST',
    headers: { ...TUS, 'upload-length': String(size), ...headers },
  })
}

async function begun(size: number, headers?: Record<string, string>): Promise<string> {
  const response = await begin(size, headers)
  expect(response.status).toBe(201)
  return response.headers.get('location') ?? ''
}

function send(location: string, offset: number, body: Buffer, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${base}${location}`, {
    method: 'PATCH',
    headers: { ...TUS, 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream', ...headers },
    body: new Uint8Array(body),
  })
}

async function offsetOf(location: string, headers: Record<string, string> = {}): Promise<number> {
  const response = await fetch(`${base}${location}`, { method: 'HEAD', headers: { ...TUS, ...headers } })
  return response.status === 200 ? Number(response.headers.get('upload-offset')) : -response.status
}

/** Sends a part of what it announced and then pulls the plug. */
function sendAndDrop(location: string, offset: number, body: Buffer, announced: number): Promise<void> {
  return new Promise((resolve) => {
    const sent = httpRequest(`${base}${location}`, {
      method: 'PATCH',
      headers: {
        ...TUS,
        'upload-offset': offset,
        'content-type': 'application/offset+octet-stream',
        'content-length': announced,
      },
    })
    sent.on('error', () => resolve())
    sent.on('close', () => resolve())
    sent.write(body, () => sent.socket?.destroySoon())
  })
}

const idOf = (location: string) => location.split('/').at(-1) ?? ''
/** The body of every error of the API. */
const errorOf = async (response: Response) => ((await response.json()) as { error: { code: string } }).error

/** Waits until the server has noticed a dropped connection, at most 5 s. */
async function until<T>(look: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
  const end = Date.now() + 5000
  for (;;) {
    const value = await look()
    if (good(value) || Date.now() > end) return value
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe('an upload', () => {
  it('arrives in pieces and becomes an image', async () => {
    const location = await begun(FILE.length)
    expect(location).toMatch(/^\/api\/uploads\/[0-9a-f]{32}$/)
    expect((await send(location, 0, FILE.subarray(0, 100_000))).status).toBe(204)
    expect((await send(location, 100_000, FILE.subarray(100_000))).status).toBe(204)
    const path = await uploads.pathOf(idOf(location))
    expect(FILE.equals(await readFile(path))).toBe(true)
    await importImage({ ...room, source: { path, consume: true }, about: about('uploaded'), op: testOperation() })
    await uploads.discard(idOf(location))
    expect(await room.files()).toEqual(['uploaded.image.json', 'uploaded.qcow2'])
  })

  it('goes on after a dropped connection from where it stopped', async () => {
    const location = await begun(FILE.length)
    await sendAndDrop(location, 0, FILE.subarray(0, 150_000), FILE.length)
    const offset = await until(
      () => offsetOf(location),
      (value) => value === 150_000,
    )
    expect(offset).toBe(150_000)
    expect((await send(location, offset, FILE.subarray(offset))).status).toBe(204)
    expect(FILE.equals(await readFile(await uploads.pathOf(idOf(location))))).toBe(true)
  })

  it('goes on after a restart of the backend', async () => {
    const location = await begun(FILE.length)
    await send(location, 0, FILE.subarray(0, 1000))
    await stop()
    await start()
    expect(await offsetOf(location)).toBe(1000)
    expect((await send(location, 1000, FILE.subarray(1000))).status).toBe(204)
    expect(FILE.equals(await readFile(await uploads.pathOf(idOf(location))))).toBe(true)
  })

  it('can be cancelled', async () => {
    const location = await begun(FILE.length)
    await send(location, 0, FILE.subarray(0, 1000))
    expect((await fetch(`${base}${location}`, { method: 'DELETE', headers: TUS })).status).toBe(204)
    expect(await offsetOf(location)).toBe(-404)
    expect(await room.files()).toEqual([])
  })

  it('keeps no name of its sender, so none can reach a path', async () => {
    const name = Buffer.from('../../../../etc/cron.d/x').toString('base64')
    const location = await begun(1000, { 'upload-metadata': `filename ${name},owner ${name}` })
    const files = await room.files()
    expect(files).toEqual([`.quarantine/uploads/${idOf(location)}`, `.quarantine/uploads/${idOf(location)}.json`])
    for (const file of files) {
      expect(await readFile(join(room.layout.images, file), 'utf8')).not.toContain('cron')
      expect((await stat(join(room.layout.images, file))).mode & 0o044).toBe(file.endsWith('.json') ? 0o044 : 0)
    }
  })
})

describe('what is refused', () => {
  it('is a file above the limit', async () => {
    const response = await begin(4 * MIB + 1)
    expect(response.status).toBe(413)
    expect(await errorOf(response)).toMatchObject({ code: 'too_large' })
    expect(await room.files()).toEqual([])
  })

  it('is an upload that does not say how large it will be, or is empty', async () => {
    for (const headers of [{ 'upload-defer-length': '1' }, { 'upload-length': '0' }]) {
      const response = await fetch(`${base}${UPLOADS_PATH}`, { method: 'POST', headers: { ...TUS, ...headers } })
      expect(response.status).toBe(400)
    }
    expect(await room.files()).toEqual([])
  })

  it('is more than was announced, and bytes at the wrong place', async () => {
    const location = await begun(1000)
    expect((await send(location, 0, Buffer.alloc(1001))).status).toBeGreaterThanOrEqual(400)
    expect((await send(location, 500, Buffer.alloc(10))).status).toBeGreaterThanOrEqual(400)
    expect(await offsetOf(location)).toBe(0)
  })

  it('is more than the quota, in number and in bytes', async () => {
    await stop()
    await start({ maxUploads: 2, maxTotalBytes: 5 * MIB })
    const first = await begun(3 * MIB)
    expect(await errorOf(await begin(3 * MIB))).toMatchObject({ code: 'quota_reached' })
    await begun(MIB)
    const third = await begin(1000)
    expect([third.status, (await errorOf(third)).code]).toEqual([422, 'quota_reached'])
    await uploads.discard(idOf(first))
    await begun(1000)
  })

  it('is reading an upload back', async () => {
    const location = await begun(4)
    await send(location, 0, Buffer.from('data'))
    const response = await fetch(`${base}${location}`, { headers: TUS })
    expect([response.status, await response.text()]).toEqual([404, '{"error":{"code":"not_found"}}'])
  })

  it.each(['..', '../../state/lock', '%2e%2e%2fx', 'a'.repeat(32), 'A'.repeat(32), '%00', 'x.json', ''])(
    'is an id that is none of ours: %s',
    async (id) => {
      for (const method of ['HEAD', 'PATCH', 'DELETE']) {
        const headers = { ...TUS, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' }
        const { status } = await fetch(`${base}${UPLOADS_PATH}/${id}`, { method, headers })
        expect(status).toBeGreaterThanOrEqual(400)
        expect(status).toBeLessThan(500)
      }
      await expect(uploads.pathOf(id)).rejects.toMatchObject({ code: 'not_found' })
      await uploads.discard(id) // absent is success, and nothing outside is touched
      expect((await stat(join(room.layout.state, 'lock'))).isFile()).toBe(true)
    },
  )

  it('is importing an upload that is not complete', async () => {
    const location = await begun(1000)
    await send(location, 0, Buffer.alloc(10))
    await expect(uploads.pathOf(idOf(location))).rejects.toMatchObject({
      code: 'wrong_status',
      details: { offset: 10, size: 1000 },
    })
  })

  it('is another person’s upload: absent for them', async () => {
    await stop()
    await start({ authorize: (request) => String(request.headers['x-test-user']) })
    const mine = { 'x-test-user': 'ada' }
    const theirs = { 'x-test-user': 'eve' }
    const location = await begun(1000, mine)
    expect((await send(location, 0, Buffer.alloc(10), theirs)).status).toBe(404)
    expect(await offsetOf(location, theirs)).toBe(-404)
    expect((await fetch(`${base}${location}`, { method: 'DELETE', headers: { ...TUS, ...theirs } })).status).toBe(404)
    expect((await send(location, 0, Buffer.alloc(10), mine)).status).toBe(204)
    expect(await offsetOf(location, mine)).toBe(10)
  })

  it('is everything when the one who asks may not', async () => {
    await stop()
    await start({
      authorize: () => {
        throw new Error('nobody')
      },
    })
    expect((await begin(10)).status).toBe(500)
    expect(await room.files()).toEqual([])
  })
})

describe('a full disk', () => {
  it('is told from a lost connection', async () => {
    const id = 'f'.repeat(32)
    await symlink('/dev/full', join(room.folder, id))
    const store = new UploadStore({ directory: room.folder })
    await expect(store.write(Readable.from([Buffer.alloc(10)]), id, 0)).rejects.toMatchObject({ code: 'no_space' })
  })
})

describe('sweeping', () => {
  it('removes what nobody touched for two days, and nothing else', async () => {
    const old = await begun(1000)
    const fresh = await begun(1000)
    const folder = join(room.layout.images, '.quarantine', 'uploads')
    const threeDaysAgo = Date.now() / 1000 - 3 * 24 * 3600
    for (const name of [idOf(old), `${idOf(old)}.json`]) await utimes(join(folder, name), threeDaysAgo, threeDaysAgo)
    // A resumed one: its record is old, its bytes are not.
    await utimes(join(folder, `${idOf(fresh)}.json`), threeDaysAgo, threeDaysAgo)
    await writeFile(join(folder, 'stray'), '')
    expect(await uploads.sweep()).toBe(1)
    expect(await offsetOf(old)).toBe(-404)
    expect(await offsetOf(fresh)).toBe(0)
  })
})
