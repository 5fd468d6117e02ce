import { execFileSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { catalogEntrySchema, type CatalogEntry } from '../../src/domain/image.js'
import { runCommand } from '../../src/system/command.js'
import { craftQcow2 } from '../support/hostile-images.js'
import { openImageRoom, pullImage, testOperation, type ImageRoom, type PullWork } from '../support/image-room.js'
import { sha256, startPublisher, type Publisher } from '../support/publisher.js'

jest.setTimeout(120_000)
const MIB = 1024 * 1024
const DISK = Buffer.concat([Buffer.from('a raw disk'), randomBytes(3 * MIB - 10), Buffer.alloc(MIB)])

let room: ImageRoom
let publisher: Publisher
let entry: CatalogEntry

beforeEach(async () => {
  room = await openImageRoom()
  publisher = await startPublisher()
  publisher.serve('/disk.img', DISK)
  entry = catalogEntrySchema.parse({
    id: 'pulled',
    title: 'A public image',
    description: 'For tests',
    version: '1',
    url: `${publisher.url}/disk.img`,
    checksum: { algorithm: 'sha256', value: sha256(DISK), url: null },
    sizeBytes: DISK.length,
    firmware: 'uefi',
    cloudInit: true,
    loginNotes: 'as root',
    minimumMemoryMib: 256,
  })
})
afterEach(async () => {
  await publisher.close()
  await room.close()
})

const request = (changes: Partial<PullWork> = {}): PullWork => ({
  layout: room.layout,
  store: room.store,
  log: room.log,
  id: 'pulled',
  op: testOperation(),
  catalog: [entry],
  network: { retryDelayMs: 10, stallTimeoutMs: 500, maxAttempts: 3 },
  ...changes,
})

const part = () => join(room.layout.images, '.quarantine', 'pulled.part')

async function expectSameDisk(content = DISK): Promise<void> {
  const raw = join(room.folder, 'expected.raw')
  await writeFile(raw, content)
  const image = join(room.layout.images, 'pulled.qcow2')
  await runCommand('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', raw, image], { timeoutMs: 20_000 })
  expect(await room.files()).toEqual(['pulled.image.json', 'pulled.qcow2'])
}

describe('a pull', () => {
  it('downloads, verifies, and makes a base image with what the catalogue says', async () => {
    const op = testOperation()
    const image = await pullImage(request({ op }))
    await expectSameDisk()
    expect(image).toMatchObject({
      id: 'pulled',
      title: 'A public image',
      description: 'For tests',
      origin: 'pulled',
      version: '1',
      firmware: 'uefi',
      cloudInit: true,
      loginNotes: 'as root',
      minimumMemoryMib: 256,
      directBoot: null,
    })
    const progress = op.steps.flatMap((step) => (typeof step.progress === 'number' ? [step.progress] : []))
    expect(progress).toEqual(progress.toSorted((a, b) => a - b))
    expect(progress.filter((done) => done > 0 && done < 0.8).length).toBeGreaterThan(2)
  })

  it('goes on where the connection was dropped half way, asking only for the rest', async () => {
    publisher.dropAfter(2 * MIB, 1)
    const op = testOperation()
    await pullImage(request({ op }))
    await expectSameDisk()
    expect(publisher.requests).toHaveLength(2)
    const [, second] = publisher.requests
    expect(second?.ifRange).toBe(`"${sha256(DISK).slice(0, 16)}"`)
    const from = Number(/^bytes=(\d+)-$/.exec(second?.range ?? '')?.[1])
    expect(from).toBeGreaterThan(0)
    expect(from).toBeLessThanOrEqual(2 * MIB)
    expect(op.logged.join()).toContain('connection was lost')
  })

  it('survives many drops, as long as each connection brings something on', async () => {
    publisher.dropAfter(1.2 * MIB, 3)
    await pullImage(request({ network: { retryDelayMs: 1, maxAttempts: 2 } }))
    await expectSameDisk()
    expect(publisher.requests.length).toBeGreaterThanOrEqual(4)
  })

  it('goes on after a restart of the backend', async () => {
    const op = testOperation()
    const stopping = { ...op, bytes: (done: number) => void (done > MIB && op.abort()) }
    await expect(pullImage(request({ op: stopping }))).rejects.toMatchObject({ code: 'cancelled' })
    const kept = (await stat(part())).size
    expect(kept).toBeGreaterThan(MIB)
    await pullImage(request())
    await expectSameDisk()
    expect(publisher.requests.at(-1)?.range).toBe(`bytes=${kept}-`)
  })

  it('can be cancelled while it hashes what is already there', async () => {
    await mkdir(join(room.layout.images, '.quarantine'))
    await writeFile(part(), DISK)
    await writeFile(`${part()}.json`, JSON.stringify({ url: entry.url, from: entry.url, validator: null }))
    const op = testOperation()
    op.abort()
    await expect(pullImage(request({ op }))).rejects.toMatchObject({ code: 'cancelled' })
    expect((await stat(part())).size).toBe(DISK.length)
  })

  it('does not download again what is already whole', async () => {
    await mkdir(join(room.layout.images, '.quarantine'))
    await writeFile(part(), DISK)
    await writeFile(`${part()}.json`, JSON.stringify({ url: entry.url, from: entry.url, validator: null }))
    await pullImage(request())
    await expectSameDisk()
    expect(publisher.requests.map(({ range }) => range)).toEqual([`bytes=${DISK.length}-`])
  })

  it('starts anew when the publisher changed the file between two connections', async () => {
    const old = Buffer.concat([randomBytes(4 * MIB)])
    publisher.serve('/disk.img', old)
    publisher.dropAfter(2 * MIB, 1)
    const op = testOperation()
    const changing = {
      ...op,
      log: () => publisher.serve('/disk.img', DISK), // said between the two
    }
    await pullImage(request({ op: changing }))
    await expectSameDisk()
  })

  it('starts anew at a server that knows no ranges, and at one without validators', async () => {
    publisher.ignoreRanges()
    publisher.dropAfter(2 * MIB, 1)
    await pullImage(request())
    await expectSameDisk()
  })

  it('resumes without a validator, because the checksum decides', async () => {
    publisher.serve('/disk.img', DISK, { etag: null })
    publisher.dropAfter(2 * MIB, 1)
    await pullImage(request())
    await expectSameDisk()
    expect(publisher.requests[1]).toMatchObject({ ifRange: undefined, range: expect.stringMatching(/^bytes=\d+-$/) })
  })

  it('resumes at the mirror that it was redirected to, and asks the address itself when that one is gone', async () => {
    let mirror = 0
    publisher.answer('/disk.img', (_request, response) => {
      mirror += 1
      response.writeHead(302, { location: `/mirror${mirror}` }).end()
    })
    publisher.serve('/mirror2', DISK)
    publisher.answer('/mirror1', (_request, response) => {
      if (publisher.requests.filter(({ path }) => path === '/mirror1').length > 1) {
        response.writeHead(404).end()
        return
      }
      response.writeHead(200, { 'content-length': DISK.length })
      response.write(DISK.subarray(0, MIB), () => response.socket?.destroySoon())
    })
    await pullImage(request())
    await expectSameDisk()
    expect(publisher.requests.map(({ path }) => path)).toEqual([
      '/disk.img',
      '/mirror1',
      '/mirror1',
      '/disk.img',
      '/mirror2',
    ])
  })

  it('waits no longer than the stall timeout for a silent server', async () => {
    let asked = 0
    publisher.answer('/disk.img', (_request, response) => {
      asked += 1
      response.writeHead(200, { 'content-length': DISK.length })
      if (asked > 1) response.end(DISK)
      else response.write(DISK.subarray(0, 1000)) // and never more
    })
    await pullImage(request({ network: { retryDelayMs: 1, stallTimeoutMs: 200 } }))
    await expectSameDisk()
  })

  it('tries again after 503, and gives up after its attempts, keeping what came', async () => {
    publisher.answer('/disk.img', (_request, response) => void response.writeHead(503).end())
    await expect(pullImage(request())).rejects.toMatchObject({
      code: 'download_failed',
      message: expect.stringContaining('503'),
    })
    expect(publisher.requests).toHaveLength(3)
  })
})

describe('a checksum', () => {
  it('that differs deletes the bytes, publishes nothing, and shows both', async () => {
    const wrong = Buffer.from(DISK)
    wrong[12_345] = (wrong[12_345] ?? 0) ^ 1
    publisher.serve('/disk.img', wrong)
    await expect(pullImage(request())).rejects.toMatchObject({
      code: 'checksum_mismatch',
      details: { algorithm: 'sha256', expected: sha256(DISK), actual: sha256(wrong) },
    })
    expect(await room.files()).toEqual([])
    expect(room.store.data.images).toEqual([])
    publisher.serve('/disk.img', DISK) // once wrong, then right: the second pull starts clean
    await pullImage(request())
    await expectSameDisk()
  })

  it('is found out also when only the resumed part is wrong', async () => {
    publisher.serve('/disk.img', DISK, { etag: '"same"' })
    publisher.dropAfter(2 * MIB, 1)
    const op = testOperation()
    const tampering = { ...op, log: () => publisher.serve('/disk.img', randomBytes(DISK.length), { etag: '"same"' }) }
    await expect(pullImage(request({ op: tampering }))).rejects.toMatchObject({ code: 'checksum_mismatch' })
    expect(await room.files()).toEqual([])
  })

  it('is fetched from the publisher where the catalogue has none', async () => {
    publisher.serve('/SHA512SUMS', Buffer.from(`${createHash('sha512').update(DISK).digest('hex')}  disk.img\n`))
    const checksum = { algorithm: 'sha512' as const, value: null, url: `${publisher.url}/SHA512SUMS` }
    await pullImage(request({ catalog: [{ ...entry, checksum }] }))
    await expectSameDisk()
  })

  it('that the publisher’s file does not have stops the pull before the download', async () => {
    publisher.serve('/SHA256SUMS', Buffer.from(`${sha256(DISK)}  newer.img\n`))
    const checksum = { algorithm: 'sha256' as const, value: null, url: `${publisher.url}/SHA256SUMS` }
    await expect(pullImage(request({ catalog: [{ ...entry, checksum }] }))).rejects.toMatchObject({
      code: 'download_failed',
    })
    expect(publisher.requests.map(({ path }) => path)).toEqual(['/SHA256SUMS'])
  })
})

describe('a packed image', () => {
  it('in gzip is unpacked, with bytes after its end left out, as OpenWrt appends them', async () => {
    const packed = Buffer.concat([gzipSync(DISK), Buffer.from('{ "metadata_version": "1.1" }FWx0')])
    publisher.serve('/disk.img.gz', packed)
    await pullImage(
      request({
        catalog: [{ ...entry, url: `${publisher.url}/disk.img.gz`, compression: 'gzip', checksum: digestOf(packed) }],
      }),
    )
    await expectSameDisk()
  })

  it('in xz is unpacked', async () => {
    const packed = execFileSync('xz', ['--compress', '--stdout', '-1'], { input: DISK, maxBuffer: 8 * MIB })
    publisher.serve('/disk.img.xz', packed)
    await pullImage(
      request({
        catalog: [{ ...entry, url: `${publisher.url}/disk.img.xz`, compression: 'xz', checksum: digestOf(packed) }],
      }),
    )
    await expectSameDisk()
  })

  it.each([
    ['gzip', gzipSync(Buffer.alloc(64 * MIB))],
    ['xz', execFileSync('xz', ['--compress', '--stdout'], { input: Buffer.alloc(64 * MIB), maxBuffer: 8 * MIB })],
  ] as const)('in %s that unpacks to too much is refused and removed', async (compression, packed) => {
    publisher.serve('/bomb', packed)
    const limits = { ...(await import('../../src/images/image-limits.js')).DEFAULT_LIMITS, maxFileBytes: 8 * MIB }
    await expect(
      pullImage(
        request({
          limits,
          catalog: [{ ...entry, url: `${publisher.url}/bomb`, compression, checksum: digestOf(packed) }],
        }),
      ),
    ).rejects.toMatchObject({ code: 'image_refused', message: expect.stringContaining('unpacks to more') })
    expect(await room.files()).toEqual([])
  })

  it('that is damaged is refused', async () => {
    const packed = gzipSync(DISK).subarray(0, 100_000)
    publisher.serve('/cut.gz', packed)
    await expect(
      pullImage(
        request({
          catalog: [{ ...entry, url: `${publisher.url}/cut.gz`, compression: 'gzip', checksum: digestOf(packed) }],
        }),
      ),
    ).rejects.toMatchObject({ code: 'image_refused' })
    expect(await room.files()).toEqual([])
  })
})

describe('what is refused', () => {
  it.each(['ftp://127.0.0.1/disk.img', 'file:///etc/passwd'])('is a redirect to %s', async (location) => {
    publisher.answer('/disk.img', (_request, response) => void response.writeHead(302, { location }).end())
    await expect(pullImage(request())).rejects.toMatchObject({ code: 'download_failed' })
    expect(room.store.data.images).toEqual([])
  })

  it('is a redirect in circles', async () => {
    publisher.answer('/disk.img', (_request, response) => void response.writeHead(302, { location: '/disk.img' }).end())
    await expect(pullImage(request())).rejects.toMatchObject({ code: 'download_failed' })
    expect(publisher.requests.length).toBeLessThan(10)
  })

  it('is a version that the publisher has removed, with the way out', async () => {
    const gone = { ...entry, url: `${publisher.url}/gone.img` }
    await expect(pullImage(request({ catalog: [gone] }))).rejects.toMatchObject({
      code: 'download_failed',
      hint: expect.stringContaining('catalog.json'),
    })
    expect(publisher.requests).toHaveLength(1)
  })

  it('is a download far larger than announced, before it fills the disk', async () => {
    const endless = randomBytes(4 * MIB)
    publisher.answer('/disk.img', (_request, response) => {
      response.writeHead(200)
      const more = () => {
        while (response.write(endless));
        response.once('drain', more)
      }
      more()
    })
    await expect(pullImage(request({ catalog: [{ ...entry, sizeBytes: 1 }] }))).rejects.toMatchObject({
      code: 'too_large',
    })
    expect(await room.files()).toEqual([])
  })

  it('is a published file with a backing file, even with the right checksum', async () => {
    const hostile = craftQcow2({ backing: '/etc/passwd' })
    publisher.serve('/disk.img', hostile)
    await expect(pullImage(request({ catalog: [{ ...entry, checksum: digestOf(hostile) }] }))).rejects.toMatchObject({
      code: 'image_refused',
    })
    expect(await room.files()).toEqual([])
  })

  it('is what the catalogue does not have, what exists, and a second pull of the same', async () => {
    await expect(pullImage(request({ id: 'other' }))).rejects.toMatchObject({ code: 'not_found' })
    const both = await Promise.allSettled([pullImage(request()), pullImage(request())])
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'busy' } })
    await expect(pullImage(request())).rejects.toMatchObject({ code: 'image_exists' })
  })

  it('keeps the download when the disk is full at the import', async () => {
    const store: typeof room.store = {
      ...room.store,
      data: room.store.data,
      revision: 0,
      change: () => Promise.reject(new Error('no room for the state')),
    }
    await expect(pullImage(request({ store }))).rejects.toThrow('no room')
    expect(DISK.equals(await readFile(part()))).toBe(true)
    await pullImage(request())
    await expectSameDisk()
    expect(publisher.requests.at(-1)?.range).toBe(`bytes=${DISK.length}-`)
  })
})

function digestOf(content: Buffer): CatalogEntry['checksum'] {
  return { algorithm: 'sha256', value: sha256(content), url: null }
}
