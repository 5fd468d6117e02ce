import { execFile } from 'node:child_process'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { startBackend } from '../../src/backend.js'
import { journalDir, uploadsDir } from '../../src/domain/layout.js'
import { createFakeEngine } from '../../src/hosts/fake-engine.js'
import { importImage } from '../../src/images/import-room.js'
import { craftQcow2 } from '../support/hostile-images.js'
import { about } from '../support/image-room.js'
import { addTestImage, clientOf, startTestLab, type Answer, type Person, type TestLab } from '../support/lab.js'
import { startCuttingProxy, type CuttingProxy } from '../support/cutting-proxy.js'
import { until, untilSeen } from '../support/until.js'

// Two servers, two databases and conversions on a machine that may be busy.
jest.setTimeout(120_000)
const run = promisify(execFile)
const MIB = 1024 * 1024
const DATA_BYTES = 4 * MIB

let near: TestLab
let far: TestLab
let sender: Person
let receiver: Person
let student: Person
let proxy: CuttingProxy
let source: { id: string; overlayPath: string }
let serial = 0

beforeAll(async () => {
  near = await startTestLab()
  far = await startTestLab()
  for (const lab of [near, far]) await addTestImage(layoutOf(lab), labOf(lab).store)
  sender = await near.person('instructor', 'ada')
  receiver = await far.person('instructor', 'bob')
  student = await near.person('student', 'eve')
  const made = await sender.send('POST', '/api/nodes', { name: 'source', image: 'empty' })
  source = made.body.node
  await fill(source.id)
})
afterAll(async () => {
  await near?.close()
  await far?.close()
})
beforeEach(async () => {
  proxy = await startCuttingProxy(far.url)
  serial += 1
})
afterEach(async () => {
  await proxy.close()
  for (const { id } of (await receiver.send('GET', '/api/nodes')).body.nodes) {
    expect((await receiver.send('DELETE', `/api/nodes/${id}?deleteStorage=true`)).status).toBe(204)
  }
})

const layoutOf = (lab: TestLab) => lab.backend.services.config.layout
function labOf(lab: TestLab) {
  const found = lab.backend.services.lab
  if (!found) throw new Error('the lab is not ready')
  return found
}

/** Bytes that do not compress, from the second MiB on. */
async function fill(nodeId: string): Promise<void> {
  const pattern = join(near.dataDir, 'pattern')
  await writeFile(pattern, randomBytes(DATA_BYTES))
  const overlay = join(layoutOf(near).overlays, `node_${nodeId}.qcow2`)
  await run('qemu-io', ['-f', 'qcow2', '-c', `write -s ${pattern} 1M ${DATA_BYTES}`, overlay])
}

const nameOf = () => `copy-${serial}`
const clone = (changes: object = {}, key: string = randomUUID()): Promise<Answer> =>
  sender.send(
    'POST',
    `/api/nodes/${source.id}/clone`,
    { name: nameOf(), to: { url: proxy.url, token: receiver.token }, ...changes },
    { 'idempotency-key': key },
  )

/** Another backend on the same folder and the same database. */
async function restarted(lab: TestLab): Promise<TestLab> {
  const { config } = lab.backend.services
  const engine = createFakeEngine({ layout: config.layout })
  const backend = await startBackend({ config, version: '0.0.0-test', pageFolder: undefined, engine })
  const { port } = backend.http.address() as AddressInfo // it listens on TCP
  const close = async () => {
    await backend.close()
    await lab.close()
  }
  return { ...lab, backend, engine, url: `http://127.0.0.1:${port}`, close }
}

async function ended(answer: Answer, person: Person = sender) {
  expect({ status: answer.status, error: answer.body.error }).toEqual({ status: 202, error: undefined })
  const { id } = answer.body.operation
  const look = async () => {
    const { operation } = (await person.send('GET', `/api/operations/${id}`)).body
    return operation.state === 'running' ? undefined : operation
  }
  return untilSeen('the end of the operation', look, 60_000)
}

/** Everything on either side that is not whole. */
async function halfThings(): Promise<string[]> {
  const found = await Promise.all(
    [near, far].flatMap((lab) => {
      const { images, overlays, state } = layoutOf(lab)
      const folders = [`${images}/.staging`, `${images}/.quarantine`, `${overlays}/.staging`, `${state}/journal`]
      return folders.map((folder) => filesBelow(folder))
    }),
  )
  const known = new Set(labOf(far).store.data.nodes.flatMap(({ id }) => [`node_${id}.qcow2`, `node_${id}.json`]))
  const strays = (await readdir(layoutOf(far).overlays)).filter((name) => name.startsWith('node_') && !known.has(name))
  return [...found.flat(), ...strays]
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))
}

async function expectOneCopy(name = nameOf()) {
  const { nodes } = (await receiver.send('GET', '/api/nodes')).body
  expect(nodes.map((node: { name: string; status: string }) => [node.name, node.status])).toEqual([[name, 'stopped']])
  const files = [`node_${source.id}.qcow2`, `node_${nodes[0].id}.qcow2`]
  const paths = [join(layoutOf(near).overlays, files[0] ?? ''), join(layoutOf(far).overlays, files[1] ?? '')]
  await run('qemu-img', ['compare', '-f', 'qcow2', '-F', 'qcow2', ...paths])
  expect(await halfThings()).toEqual([])
  return nodes[0]
}

describe('a clone to another SandLabX', () => {
  it('is a node of its own over there, with the same disk, and leaves nothing else on either side', async () => {
    const operation = await ended(await clone())
    expect(operation).toMatchObject({ kind: 'node.send', state: 'succeeded', outcome: 'committed', error: null })
    const node = await expectOneCopy()
    expect(operation.items).toEqual([{ name: nameOf(), id: node.id, state: 'succeeded', error: null }])
    const record = labOf(far).store.data.nodes.find(({ id }) => id === node.id)
    expect(record).toMatchObject({ ownerId: receiver.id, imageId: 'empty', backing: { kind: 'none' } })
    const original = labOf(near).store.data.nodes.find(({ id }) => id === source.id)
    expect(record?.mac).not.toBe(original?.mac)
    expect(original?.events[0]?.text).toContain(`Cloned to ${nameOf()} at 127.0.0.1`)
    const info = JSON.parse(
      (await run('qemu-img', ['info', '--output=json', join(layoutOf(far).overlays, `node_${node.id}.qcow2`)])).stdout,
    )
    expect(info['backing-filename']).toBeUndefined()
    expect((await receiver.send('POST', `/api/nodes/${node.id}/start`)).body.node.status).toBe('running')
    await receiver.send('POST', `/api/nodes/${node.id}/stop`, { now: true })
  })

  it('keeps the token to itself: not in the journal, the operations, the audit log, or the answer', async () => {
    const operation = await ended(await clone())
    expect(JSON.stringify(operation)).not.toContain(receiver.token)
    expect(await readFile(layoutOf(near).stateFile, 'utf8')).not.toContain(receiver.token)
    const administrator = await near.person('administrator')
    const { body } = await administrator.send('GET', '/api/audit')
    expect(JSON.stringify(body)).toContain(nameOf())
    expect(JSON.stringify(body)).not.toContain(receiver.token)
  })
})

describe('a connection that is cut', () => {
  it.each([
    [1, 'in the first question'],
    [3000, 'while it begins'],
    [0.5 * MIB, 'early in the disk'],
    [2.2 * MIB, 'in the middle of the disk'],
    [3.9 * MIB, 'at the end of the disk'],
  ])('after %i bytes (%s) costs only what was on the way', async (bytes) => {
    if (bytes > 1) proxy.cutAfter(bytes)
    else setImmediate(() => proxy.cutAfter(bytes))
    const operation = await ended(await clone())
    if (operation.state === 'failed') {
      // Whoever does not answer the very first question is not waited for.
      expect(operation.error.code).toBe('remote_failed')
      expect(await halfThings()).toEqual([])
      expect(await ended(await clone())).toMatchObject({ state: 'succeeded', error: null })
    }
    await expectOneCopy()
    expect(proxy.passed).toBeLessThan(DATA_BYTES + MIB)
  })

  it('again and again still ends with one node, and sends no byte twice that had arrived', async () => {
    proxy.cutAfter(MIB)
    const running = clone()
    let cuts = 1
    const timer = setInterval(() => {
      if (cuts >= 4 || proxy.passed < cuts * MIB) return
      cuts += 1
      proxy.cutAfter(0.7 * MIB)
    }, 5)
    const operation = await ended(await running).finally(() => clearInterval(timer))
    expect(operation).toMatchObject({ state: 'succeeded', error: null })
    expect(cuts).toBeGreaterThan(1)
    await expectOneCopy()
    expect(proxy.passed).toBeLessThan(DATA_BYTES + 1.5 * MIB)
  })

  it.each([
    [/POST \/api\/transfers$/, /POST \/api\/transfers$/],
    [/POST \/api\/uploads$/, /POST \/api\/uploads$/],
    [/PATCH/, /HEAD/],
    [/POST .*\/commit/, /POST .*\/commit/],
    [/GET \/api\/operations/, /GET \/api\/operations/],
  ])('at the answer to %s makes exactly one node, since %s is asked again', async (pattern, again) => {
    proxy.loseAnswerTo(pattern)
    expect(await ended(await clone())).toMatchObject({ state: 'succeeded', error: null })
    await expectOneCopy()
    const asked = proxy.requests.filter((line) => again.test(line)).length
    expect(asked).toBeGreaterThan(String(pattern) === String(again) ? 1 : 0)
    expect(proxy.passed).toBeLessThan(DATA_BYTES + MIB)
  })

  it('for good, and tried again with the same key, goes on where it was: the bytes are counted', async () => {
    const key = randomUUID()
    proxy.cutAfter(2 * MIB)
    const first = await clone({}, key)
    await until(() => proxy.passed >= 2 * MIB)
    proxy.breakDown()
    // A backend that stops does not wait for its sends, and the next one does not go on with them by itself.
    await near.backend.close()
    expect(first.status).toBe(202)
    proxy.mend()
    const { passed } = proxy
    near = await restarted(near)
    sender = { ...sender, ...clientOf(near.url, { authorization: `Bearer ${sender.token}` }) }
    expect(await filesBelow(`${layoutOf(near).overlays}/.staging`)).toEqual([])
    expect((await receiver.send('GET', '/api/nodes')).body.nodes).toEqual([])
    expect(proxy.passed).toBe(passed)

    expect(await ended(await clone({}, key))).toMatchObject({ state: 'succeeded', error: null })
    expect(proxy.passed - passed).toBeLessThan(DATA_BYTES - 1.5 * MIB)
    await expectOneCopy()

    const again = await clone({}, key)
    expect((await ended(again)).items[0].state).toBe('succeeded')
    await expectOneCopy()
  })
})

describe('a transfer by hand', () => {
  it('is committed once, whoever asks again: its sender may have forgotten everything', async () => {
    const key = randomUUID()
    const disk = await emptyDisk()
    const { transfer } = await announce({ key, disk })
    await upload(transfer.id, disk)
    const commit = `/api/transfers/${transfer.id}/commit`
    const both = await Promise.all([receiver.send('POST', commit, {}), receiver.send('POST', commit, {})])
    const made = await Promise.all(both.map((answer) => ended(answer, receiver)))
    expect(made.map(({ id, state }) => [id, state])).toEqual([
      [made[0].id, 'succeeded'],
      [made[0].id, 'succeeded'],
    ])
    const again = await announce({ key, disk })
    expect(again.transfer).toEqual({ id: transfer.id, files: [], operationId: made[0].id })
    expect((await receiver.send('POST', commit, {})).body.operation.id).toBe(made[0].id)
    expect((await receiver.send('GET', '/api/nodes')).body.nodes).toHaveLength(1)
    expect(await halfThings()).toEqual([])
  })
})

describe('what is refused', () => {
  const failing = async (changes: object = {}) => {
    const operation = await ended(await clone(changes))
    expect(operation.state).toBe('failed')
    expect(await halfThings()).toEqual([])
    expect((await receiver.send('GET', '/api/nodes')).body.nodes).toEqual([])
    return operation.error
  }

  it('is a wrong token, and one of somebody who may not', async () => {
    const to = { url: proxy.url, token: 'sbx_wrong' }
    expect(await failing({ to })).toMatchObject({ code: 'remote_failed', message: expect.stringContaining('token') })
    const { token } = await far.person('student')
    const error = await failing({ to: { url: proxy.url, token } })
    expect(error).toMatchObject({ code: 'remote_failed', message: expect.stringContaining('student') })
  })

  it('is asking as a student, whatever the node', async () => {
    const asked = clientOf(near.url, { authorization: `Bearer ${student.token}` })
    const own = await asked.send('POST', '/api/nodes', { name: 'mine', image: 'empty' })
    const to = { url: proxy.url, token: receiver.token }
    const answer = await asked.send('POST', `/api/nodes/${own.body.node.id}/clone`, { name: 'x', to })
    expect([answer.status, answer.body.error.code]).toEqual([403, 'not_allowed'])
    expect(proxy.requests).toEqual([])
  })

  it.each(['ftp://127.0.0.1/', 'file:///etc/passwd', 'http://user:secret@127.0.0.1/', 'nonsense'])(
    'is the address %s',
    async (url) => {
      const answer = await clone({ to: { url, token: receiver.token } })
      expect([answer.status, answer.body.error.code]).toEqual([400, 'bad_request'])
    },
  )

  it('is a name that is taken over there, unless the old node may go to the trash', async () => {
    const old = await receiver.send('POST', '/api/nodes', { name: nameOf(), image: 'empty' })
    const operation = await ended(await clone())
    expect(operation.error).toMatchObject({ code: 'name_taken', message: expect.stringContaining(nameOf()) })
    expect(proxy.passed).toBeLessThan(MIB)

    expect(await ended(await clone({ idempotent: true }))).toMatchObject({ state: 'succeeded', error: null })
    const node = await expectOneCopy()
    expect(node.id).not.toBe(old.body.node.id)
    const trash = await readdir(`${layoutOf(far).overlays}/.trash`)
    expect(trash.join()).toContain(old.body.node.id)
  })

  it('is another SandLabX that has no room: 507 before a byte of the disk is sent', async () => {
    const full = await answering('507', { error: { code: 'no_space', message: 'Could not receive it: no room.' } })
    const operation = await ended(await clone({ to: { url: full.url, token: receiver.token } }))
    await full.close()
    expect(operation.error).toMatchObject({ code: 'no_space', message: expect.stringContaining('no room') })
    expect(full.asked).toEqual(['GET /api/images', 'POST /api/transfers?dryRun=true'])
  })

  it('is one that is too old, one that sends us elsewhere, and what is no SandLabX', async () => {
    const old = await answering('404', { error: { code: 'not_found', message: 'There is nothing at /api/transfers.' } })
    const first = await ended(await clone({ to: { url: old.url, token: receiver.token } }))
    await old.close()
    expect(first.error).toMatchObject({ code: 'remote_failed', hint: expect.stringContaining('older') })

    const elsewhere = await answering('302', {}, { location: far.url })
    const second = await ended(await clone({ to: { url: elsewhere.url, token: receiver.token } }))
    await elsewhere.close()
    expect(second.error).toMatchObject({ code: 'remote_failed', message: expect.stringContaining('another address') })
    expect((await receiver.send('GET', '/api/nodes')).body.nodes).toEqual([])

    const stranger = await answering('200', 'hello')
    const third = await ended(await clone({ to: { url: stranger.url, token: receiver.token } }))
    await stranger.close()
    expect(third.error.message).toContain('not as a SandLabX')
  })

  it('is an address where nobody is', async () => {
    const nobody = await answering('200', {})
    await nobody.close()
    const operation = await ended(await clone({ to: { url: nobody.url, token: receiver.token } }))
    expect(operation.error).toMatchObject({
      code: 'remote_failed',
      message: expect.stringContaining('does not answer'),
    })
    expect(await halfThings()).toEqual([])
  })

  it('is what arrives with another checksum: it goes, and the next try starts clean', async () => {
    const { transfer, disk } = await announce({ sha256: 'f'.repeat(64) })
    await upload(transfer.id, disk)
    const commit = await receiver.send('POST', `/api/transfers/${transfer.id}/commit`, {})
    expect(await ended(commit, receiver)).toMatchObject({ state: 'failed', error: { code: 'checksum_mismatch' } })
    expect(await halfThings()).toEqual([])
    expect((await receiver.send('POST', `/api/transfers/${transfer.id}/commit`, {})).status).toBe(404)
  })

  it('is a disk that stands on another file, and one that unpacks to more than was said', async () => {
    const hostile = craftQcow2({ backing: '/etc/passwd' })
    const first = await announce({ disk: hostile })
    await upload(first.transfer.id, hostile)
    const refused = await receiver.send('POST', `/api/transfers/${first.transfer.id}/commit`, {})
    expect((await ended(refused, receiver)).error.code).toBe('image_refused')
    expect(await halfThings()).toEqual([])
  })

  it('is committing what is not there yet; it can be forgotten, and is swept when nobody goes on', async () => {
    const { transfer, disk } = await announce()
    expect((await receiver.send('POST', `/api/transfers/${transfer.id}/commit`, {})).status).toBe(404)
    const stranger = await far.person('instructor')
    expect((await stranger.send('DELETE', `/api/transfers/${transfer.id}`)).status).toBe(404)
    await upload(transfer.id, disk.subarray(0, 1000), disk.length)
    const early = await receiver.send('POST', `/api/transfers/${transfer.id}/commit`, {})
    expect([early.status, early.body.error.code]).toEqual([409, 'wrong_status'])
    expect((await receiver.send('DELETE', `/api/transfers/${transfer.id}`)).status).toBe(204)
    expect(await halfThings()).toEqual([])

    await upload((await announce()).transfer.id, disk.subarray(0, 1000), disk.length)
    expect(await halfThings()).toHaveLength(3)
    await labOf(far).uploads.sweep(Date.now() + 47 * 3600 * 1000)
    expect(await halfThings()).toHaveLength(3)
    await labOf(far).uploads.sweep(Date.now() + 49 * 3600 * 1000)
    expect(await halfThings()).toEqual([])
  })
})

describe('what is sent besides', () => {
  it('is the base image with its kernel, once: the next node finds it there', async () => {
    const given = join(near.dataDir, 'given.raw')
    await writeFile(given, randomBytes(MIB))
    await writeFile(join(near.dataDir, 'vmlinuz'), 'a kernel')
    const directBoot = {
      kernelPath: join(near.dataDir, 'vmlinuz'),
      initrdPath: null,
      commandLine: 'console=ttyS0',
    }
    const { lab, config, bus, log } = near.backend.services
    const context = {
      layout: config.layout,
      store: labOf(near).store,
      transactions: labOf(near).transactions,
      bus,
      log,
    }
    expect(lab).toBeDefined()
    const image = await (
      await importImage(
        { ...context, now: () => new Date() },
        { source: { path: given, consume: true }, about: about('with-kernel', { directBoot, loginNotes: 'as ada' }) },
        { id: null, login: 'test' },
      )
    ).result
    const made = await sender.send('POST', '/api/nodes', { name: `own-${serial}`, image: image.id })
    const body = { name: nameOf(), to: { url: proxy.url, token: receiver.token } }
    const path = `/api/nodes/${made.body.node.id}/clone`
    expect(await ended(await sender.send('POST', path, body))).toMatchObject({ state: 'succeeded', error: null })
    const copy = labOf(far).store.data.images.find(({ id }) => id === image.id)
    expect(copy).toMatchObject({
      sourceSha256: image.fingerprint.sha256,
      origin: 'uploaded',
      loginNotes: 'as ada',
      directBoot: image.directBoot,
      bootFiles: image.bootFiles,
    })
    expect(await halfThings()).toEqual([])
    const { passed } = proxy
    const again = await sender.send('POST', path, { ...body, name: `${nameOf()}-2` })
    expect(await ended(again)).toMatchObject({ state: 'succeeded', error: null })
    expect(proxy.passed - passed).toBeLessThan(1.5 * MIB) // what is in its own disk
    expect(labOf(far).store.data.images.filter(({ sourceSha256 }) => sourceSha256 !== undefined)).toHaveLength(1)
  })

  it('may go to this very SandLabX', async () => {
    const to = { url: near.url, token: sender.token }
    expect(await ended(await clone({ to }))).toMatchObject({ state: 'succeeded', error: null })
    const { nodes } = (await sender.send('GET', '/api/nodes')).body
    expect(nodes.filter(({ name }: { name: string }) => name === nameOf())).toHaveLength(1)
    expect(await halfThings()).toEqual([])
  })

  it('is nothing when it is only planned: the other side says what it would do', async () => {
    await receiver.send('POST', '/api/nodes', { name: nameOf(), image: 'empty' })
    const ask = async (changes: object) =>
      (
        await sender.send('POST', `/api/nodes/${source.id}/clone?dryRun=true`, {
          name: nameOf(),
          to: { url: proxy.url, token: receiver.token },
          ...changes,
        })
      ).body.plan
    expect(await ask({})).toMatchObject({ kind: 'node.send', refusal: { code: 'name_taken' } })
    const plan = await ask({ force: true })
    expect(plan).toMatchObject({ refusal: null, replaces: [{ name: nameOf() }] })
    expect(plan.space.length).toBeGreaterThan(2)
    expect(await halfThings()).toEqual([])
  })

  it('is nothing after a cancel: the other side forgets it', async () => {
    proxy.cutAfter(2 * MIB)
    const answer = await clone()
    await until(() => proxy.passed >= 2 * MIB)
    proxy.breakDown()
    const { id } = answer.body.operation
    await untilSeen('the loss', async () => {
      const { operation } = (await sender.send('GET', `/api/operations/${id}`)).body
      return JSON.stringify(operation.log).includes('was lost')
    })
    proxy.mend()
    await sender.send('POST', `/api/operations/${id}/cancel`)
    expect((await ended(answer)).state).toBe('cancelled')
    expect(await halfThings()).toEqual([])
  })
})

describe('a far side that was killed while it received', () => {
  it('takes all of it back at its next start, but for the upload, which can be committed again', async () => {
    const disk = await emptyDisk()
    const { transfer } = await announce({ disk })
    await upload(transfer.id, disk)
    const [sent] = await labOf(far).uploads.ofTransfer(transfer.id, receiver.id)
    const uploadId = sent?.uploadId ?? ''
    const made = await receiver.send('POST', `/api/transfers/${transfer.id}/commit`, {})
    const done = await ended(made, receiver)
    const record = labOf(far).store.data.nodes.find(({ id }) => id === done.target.id)
    await receiver.send('DELETE', `/api/nodes/${done.target.id}?deleteStorage=true`)

    // What such a process leaves: the intent, the upload in staging, the disk with its name, and no record in the state.
    const again = await announce({ disk, key: 'again' })
    await upload(again.transfer.id, disk)
    const [second] = await labOf(far).uploads.ofTransfer(again.transfer.id, receiver.id)
    const layout = layoutOf(far)
    await far.backend.close()
    const id = randomUUID()
    const staging = join(layout.overlays, '.staging', id)
    await mkdir(staging, { recursive: true })
    await rename(join(uploadsDir(layout), second?.uploadId ?? ''), join(staging, 'source'))
    await writeFile(join(layout.overlays, `node_${done.target.id}.qcow2`), disk)
    await writeFile(join(layout.overlays, `node_${done.target.id}.json`), '{}')
    const operation = { ...done, id: randomUUID(), state: 'running', outcome: null, endedAt: null, request: null }
    const replacing = { replaced: [], replacedBy: null, keptLayers: [], from: { kind: 'none' } }
    const intent = {
      ...replacing,
      id,
      at: done.startedAt,
      actor: { id: receiver.id, login: 'bob' },
      start: false,
      record,
      transferId: again.transfer.id,
      uploadId: second?.uploadId,
      sizeBytes: disk.length,
      unpackedBytes: MIB,
      sha256: createHash('sha256').update(disk).digest('hex'),
    }
    await mkdir(journalDir(layout), { recursive: true })
    const entry = JSON.stringify({ kind: 'sandlabx-intent', schema: 1, operation, intent })
    await writeFile(join(journalDir(layout), `000000009999-${operation.id}.json`), entry)

    far = await restarted(far)
    receiver = { ...receiver, ...clientOf(far.url, { authorization: `Bearer ${receiver.token}` }) }
    expect(uploadId).not.toBe('')
    expect(await halfThings()).toHaveLength(3) // the upload, its size, and its transfer
    const committed = await receiver.send('POST', `/api/transfers/${again.transfer.id}/commit`, {})
    expect(await ended(committed, receiver)).toMatchObject({ state: 'succeeded', error: null })
    expect((await receiver.send('GET', '/api/nodes')).body.nodes).toHaveLength(1)
    expect(await halfThings()).toEqual([])
  })
})

/** A server that answers the question for images as ours does, and everything else like this. */
async function answering(status: string, body: unknown, headers: Record<string, string> = {}) {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    const isImages = request.url === '/api/images' && status !== '200' && status !== '302'
    response.writeHead(isImages ? 200 : Number(status), { 'content-type': 'application/json', ...headers })
    response.end(isImages ? '{"images":[]}' : JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // it listens on TCP
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return { url: `http://127.0.0.1:${port}`, asked, close }
}

/** As large as announced. */
async function emptyDisk(): Promise<Buffer> {
  const path = join(far.dataDir, `disk-${randomUUID()}`)
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', path, String(16 * MIB)])
  return readFile(path)
}

/** Begins a transfer by hand. */
async function announce(changes: { sha256?: string; disk?: Buffer; key?: string } = {}) {
  const disk = changes.disk ?? craftQcow2()
  const image = labOf(far).store.data.images.find(({ id }) => id === 'empty')
  const { body, status } = await receiver.send('POST', '/api/transfers', {
    kind: 'node',
    key: changes.key ?? randomUUID(),
    node: {
      name: nameOf(),
      cpus: 1,
      memoryMib: 64,
      diskBytes: 16 * MIB,
      internet: false,
      guest: { user: 'ada', passwordHash: null, sshKeys: [] },
    },
    from: 'a test',
    imageSha256: image?.fingerprint.sha256,
    disk: { sha256: changes.sha256 ?? createHash('sha256').update(disk).digest('hex'), sizeBytes: disk.length },
    unpackedBytes: MIB,
    replace: null,
    start: false,
  })
  expect({ status, error: body.error }).toEqual({ status: 201, error: undefined })
  return { transfer: body.transfer as { id: string; operationId: string | null }, disk }
}

async function upload(transferId: string, bytes: Buffer, size = bytes.length): Promise<void> {
  const encode = (text: string) => Buffer.from(text).toString('base64')
  const authorization = { authorization: `Bearer ${receiver.token}`, 'tus-resumable': '1.0.0' }
  const begun = await fetch(`${far.url}/api/uploads`, {
    method: 'POST',
    headers: {
      ...authorization,
      'upload-length': String(size),
      'upload-metadata': `transfer ${encode(transferId)},file ${encode('disk')}`,
    },
  })
  expect(begun.status).toBe(201)
  const sent = await fetch(far.url + begun.headers.get('location'), {
    method: 'PATCH',
    headers: { ...authorization, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' },
    body: new Uint8Array(bytes),
  })
  expect(sent.status).toBe(204)
}
