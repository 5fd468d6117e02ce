import { createHash, randomUUID } from 'node:crypto'
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { catalogFile } from '../../src/domain/layout.js'
import { addTestImage, databaseUrl, startTestLab, type Answer, type Person, type TestLab } from '../support/lab.js'
import { startTestPostgres, type TestPostgres } from '../support/postgres.js'
import { untilSeen } from '../support/until.js'

const run = promisify(execFile)

let lab: TestLab
let disk: Buffer
let serial = 0
const fresh = (stem: string) => `${stem}-${(serial += 1)}`
const services = () => lab.backend.services
const layout = () => services().config.layout

beforeAll(async () => {
  lab = await startTestLab()
  await addTestImage(layout(), services().lab!.store)
  const folder = join(lab.dataDir, 'incoming')
  await mkdir(folder)
  await run('qemu-img', ['create', '-q', '-f', 'qcow2', join(folder, 'disk.qcow2'), '1M'])
  disk = await readFile(join(folder, 'disk.qcow2'))
  services().config.importFolders.push(folder)
  const entry = {
    id: 'far-away',
    title: 'Far away',
    description: '',
    version: '1',
    url: 'https://127.0.0.1:9/disk.qcow2',
    checksum: { algorithm: 'sha256', value: 'a'.repeat(64), url: null },
    sizeBytes: 1024,
    compression: 'none',
    firmware: 'bios',
    cloudInit: true,
    loginNotes: '',
    minimumMemoryMib: 64,
  }
  await writeFile(catalogFile(layout()), JSON.stringify({ images: [entry] }))
}, 60_000)
afterAll(() => lab?.close())

/** One request, made ready for a person: a fresh object each time. */
interface Ready {
  path: string
  body?: unknown
  /** Something else that this route would take. */
  other: unknown
  after?: () => Promise<unknown>
}
interface Row {
  /** Its name in the audit log, where each effect is one line. */
  audit: string
  ready(who: Person): Promise<Ready> | Ready
}

const newNode = async (who: Person, start = false): Promise<string> => {
  const { body } = await who.send('POST', '/api/nodes', { name: fresh('node'), image: 'empty', start })
  return body.node.id
}

const onNode = (
  action: string,
  audit: string,
  running: boolean,
  body?: unknown,
  other: unknown = { more: true },
): Row => ({
  audit,
  ready: async (who) => {
    const id = await newNode(who, running)
    return { path: `/api/nodes/${id}/${action}`, body, other }
  },
})

const onSuspended = (action: string, audit: string, body?: unknown, other: unknown = { more: true }): Row => ({
  audit,
  ready: async (who) => {
    const id = await newNode(who, true)
    await who.send('POST', `/api/nodes/${id}/suspend`)
    return { path: `/api/nodes/${id}/${action}`, body, other }
  },
})

const ENDED = async (imageId: string) => {
  const { operations } = services().lab!
  const running = () => operations.list().find(({ target, state }) => target?.id === imageId && state === 'running')
  const found = running()
  if (found?.cancellable) operations.cancel(found.id)
  await untilSeen(`the end of the work on ${imageId}`, async () => running() === undefined, 30_000)
}

async function upload(who: Person, metadata?: string): Promise<string> {
  const tus = { 'tus-resumable': '1.0.0', authorization: `Bearer ${who.token}` }
  const created = await fetch(`${lab.url}/api/uploads`, {
    method: 'POST',
    headers: { ...tus, 'upload-length': String(disk.length), ...(metadata && { 'upload-metadata': metadata }) },
  })
  const id = created.headers.get('location')?.split('/').at(-1) ?? ''
  const sent = await fetch(`${lab.url}/api/uploads/${id}`, {
    method: 'PATCH',
    headers: { ...tus, 'upload-offset': '0', 'content-type': 'application/offset+octet-stream' },
    body: new Uint8Array(disk),
  })
  if (sent.status !== 204) throw new Error(await sent.text())
  return id
}

const transferOf = (id: string) => ({
  kind: 'image',
  key: randomUUID(),
  image: {
    id,
    title: 'Sent',
    description: '',
    version: '1',
    firmware: 'bios',
    cloudInit: false,
    loginNotes: '',
    minimumMemoryMib: 64,
    commandLine: null,
  },
  disk: { sha256: createHash('sha256').update(disk).digest('hex'), sizeBytes: disk.length },
  kernel: null,
  initrd: null,
})

const encode = (text: string) => Buffer.from(text).toString('base64')

/** Every POST of the API. `no key`: it is for people who are not signed in yet. `refused`: here it always is. */
const TABLE: Record<string, Row | 'no key' | 'refused'> = {
  '/api/session': 'no key',
  '/api/session/tokens': {
    audit: 'token.create',
    ready: () => ({ path: '/api/session/tokens', body: { name: fresh('token') }, other: { name: 'other' } }),
  },
  '/api/users': {
    audit: 'user.create',
    ready: () => ({ path: '/api/users', body: { login: fresh('user') }, other: { login: fresh('other') } }),
  },
  '/api/users/{id}/reset-password': {
    audit: 'user.resetPassword',
    async ready() {
      const { user } = await services().accounts.create({ login: fresh('lost'), displayName: '', role: 'student' })
      return { path: `/api/users/${user.id}/reset-password`, other: { more: true } }
    },
  },
  '/api/nodes': {
    audit: 'node.create',
    ready: () => ({
      path: '/api/nodes',
      body: { name: fresh('made'), image: 'empty' },
      other: { name: 'other', image: 'empty' },
    }),
  },
  '/api/nodes/batch': {
    audit: 'node.create',
    ready() {
      const template = { image: 'empty' }
      const name = fresh('many')
      return {
        path: '/api/nodes/batch',
        body: { template, count: 3, name: `${name}-{n}` },
        other: { template, count: 4, name: `${name}-{n}` },
      }
    },
  },
  '/api/nodes/{id}/clone': {
    audit: 'node.clone',
    async ready(who) {
      const path = `/api/nodes/${await newNode(who)}/clone`
      return { path, body: { name: fresh('clone') }, other: { name: fresh('clone') } }
    },
  },
  '/api/nodes/{id}/snapshots': {
    audit: 'snapshot.create',
    async ready(who) {
      const path = `/api/nodes/${await newNode(who)}/snapshots`
      return { path, body: { name: fresh('snapshot') }, other: { name: fresh('snapshot') } }
    },
  },
  '/api/nodes/{id}/snapshots/{snapshotId}/restore': {
    audit: 'snapshot.restore',
    async ready(who) {
      const id = await newNode(who)
      const { operations, store } = services().lab!
      const { body } = await who.send('POST', `/api/nodes/${id}/snapshots`, { name: 'kept' })
      await operations.ended(body.operation.id)
      const snapshot = store.data.snapshots.find(({ nodeId }) => nodeId === id)!
      return { path: `/api/nodes/${id}/snapshots/${snapshot.id}/restore`, body: {}, other: { now: true } }
    },
  },
  '/api/nodes/{id}/drives': {
    audit: 'drive.create',
    async ready(who) {
      const path = `/api/nodes/${await newNode(who)}/drives`
      return { path, body: { id: 'one' }, other: { id: 'two' } }
    },
  },
  '/api/nodes/{id}/drives/{driveId}/move': {
    audit: 'drive.move',
    async ready(who) {
      const [id, toNodeId] = [await newNode(who), await newNode(who)]
      await who.send('POST', `/api/nodes/${id}/drives`, { id: 'one' })
      return { path: `/api/nodes/${id}/drives/one/move`, body: { toNodeId }, other: { toNodeId, newId: 'two' } }
    },
  },
  '/api/nodes/{id}/reset': onNode('reset', 'node.reset', false, {}, { now: true }),
  '/api/reset': {
    audit: 'node.reset',
    async ready(who) {
      const nodeIds = [await newNode(who), await newNode(who)]
      return { path: '/api/reset', body: { nodeIds }, other: { nodeIds, now: true } }
    },
  },
  '/api/trash/{id}/restore': {
    audit: 'trash.restore',
    async ready(who) {
      const id = await newNode(who)
      await who.send('DELETE', `/api/nodes/${id}?deleteStorage=true`)
      const { entries } = (await who.send('GET', '/api/trash')).body
      return { path: `/api/trash/${entries[0].id}/restore`, body: {}, other: { name: 'other' } }
    },
  },
  '/api/trash/purge': {
    audit: 'trash.purge',
    ready: () => ({ path: '/api/trash/purge', body: { olderThanDays: 3650 }, other: { olderThanDays: 3649 } }),
  },
  '/api/operations/{id}/undo': {
    audit: 'operation.undo',
    async ready(who) {
      const { body } = await who.send('POST', `/api/nodes/${await newNode(who)}/reset`)
      await services().lab!.operations.ended(body.operation.id)
      return { path: `/api/operations/${body.operation.id}/undo`, other: { more: true } }
    },
  },
  '/api/nodes/from-config': {
    audit: 'node.create',
    ready() {
      const config = `name: ${fresh('text')}\nimage: empty\n`
      return { path: '/api/nodes/from-config', body: { config }, other: { config, name: 'other' } }
    },
  },
  '/api/storage/attach': {
    audit: 'node.attach',
    async ready(who) {
      const id = await newNode(who)
      await who.send('DELETE', `/api/nodes/${id}`)
      const path = `/overlays/node_${id}.qcow2`
      return { path: '/api/storage/attach', body: { path }, other: { path, name: 'other' } }
    },
  },
  '/api/storage/discard': {
    audit: 'storage.discard',
    async ready(who) {
      const id = await newNode(who)
      await who.send('DELETE', `/api/nodes/${id}`)
      const path = `/overlays/node_${id}.qcow2`
      return { path: '/api/storage/discard', body: { path }, other: { path: '/overlays/other.qcow2' } }
    },
  },
  '/api/test-boots': {
    audit: 'node.testBoot',
    async ready(who) {
      const nodeId = await newNode(who)
      return { path: '/api/test-boots', body: { nodeId }, other: { nodeId, expect: 'another text' } }
    },
  },
  '/api/storage/verify': {
    audit: 'storage.verify',
    ready: () => ({ path: '/api/storage/verify', body: { level: 'files' }, other: { level: 'chain' } }),
  },
  '/api/storage/repair': {
    audit: 'storage.repair',
    async ready(who) {
      const nodeId = await newNode(who)
      const body = { nodeId, repair: 'write-sidecar', path: `/overlays/node_${nodeId}.json` }
      return { path: '/api/storage/repair', body, other: { ...body, argument: 'other' } }
    },
  },
  '/api/nodes/{id}/start': onNode('start', 'node.start', false),
  '/api/nodes/{id}/stop': onNode('stop', 'node.stop', true, { now: true }, { now: false }),
  '/api/nodes/{id}/restart': onNode('restart', 'node.restart', true),
  '/api/nodes/{id}/suspend': onNode('suspend', 'node.suspend', true, { resumeAtStart: true }, {}),
  '/api/nodes/{id}/resume': onSuspended('resume', 'node.resume'),
  '/api/nodes/{id}/discard-memory': onSuspended('discard-memory', 'node.discardMemory', {}, { start: true }),
  '/api/nodes/{id}/consoles': onNode('consoles', 'console.open', true, { kind: 'serial' }, { kind: 'screen' }),
  '/api/nodes/{id}/keys': onNode('keys', 'console.sendKeys', true, { keys: ['a'] }, { keys: ['b'] }),
  '/api/nodes/{id}/type': onNode('type', 'console.typeText', true, { text: 'a' }, { text: 'b' }),
  '/api/images/build': {
    audit: 'image.build',
    ready: () => ({
      path: '/api/images/build',
      body: { recipe: 'tiny' },
      other: { recipe: 'debian-12' },
      after: () => ENDED('tiny'),
    }),
  },
  '/api/images/pull': {
    audit: 'image.pull',
    ready: () => ({
      path: '/api/images/pull',
      body: { id: 'far-away' },
      other: { id: 'farther' },
      after: () => ENDED('far-away'),
    }),
  },
  '/api/images/import': {
    audit: 'image.import',
    ready() {
      const id = fresh('import')
      const path = join(lab.dataDir, 'incoming/disk.qcow2')
      const body = { id, path }
      return { path: '/api/images/import', body, other: { id: `${id}-b`, path }, after: () => ENDED(id) }
    },
  },
  '/api/images/import-upload': {
    audit: 'image.import',
    async ready(who) {
      const id = fresh('upload')
      const body = { id, uploadId: await upload(who) }
      return { path: '/api/images/import-upload', body, other: { ...body, id: `${id}-b` }, after: () => ENDED(id) }
    },
  },
  '/api/operations/{id}/cancel': {
    audit: 'operation.cancel',
    ready(who) {
      const about = {
        kind: 'image.build',
        title: 'to be cancelled',
        actor: who,
        target: null,
        cancellable: true,
      } as const
      const { operation, result } = services().lab!.operations.start(
        about,
        ({ signal }) =>
          new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      )
      result.catch(() => undefined)
      return { path: `/api/operations/${operation.id}/cancel`, other: { more: true } }
    },
  },
  '/api/transfers': {
    audit: 'transfer.begin',
    ready: () => ({
      path: '/api/transfers',
      body: transferOf(fresh('sent')),
      other: transferOf(fresh('sent')),
    }),
  },
  '/api/transfers/{id}/commit': {
    audit: 'transfer.commit',
    async ready(who) {
      const id = fresh('sent')
      const begun = await who.send('POST', '/api/transfers', transferOf(id))
      const transfer = begun.body.transfer.id
      await upload(who, `transfer ${encode(transfer)},file ${encode('disk')}`)
      return { path: `/api/transfers/${transfer}/commit`, other: { more: true }, after: () => ENDED(id) }
    },
  },
  '/api/system/rebuild': 'refused',
}

const rows = Object.entries(TABLE).flatMap(([path, row]) => (typeof row === 'string' ? [] : [[path, row] as const]))

const effects = async (who: Person, action: string) => {
  const { entries } = await services().audit.list({ actor: who.id, action, limit: 500 })
  return entries.filter(({ result }) => result === 'success').length
}

const post = (who: Person, path: string, body: unknown, key: string): Promise<Answer> =>
  who.send('POST', path, body, { 'idempotency-key': key })
const isReplay = ({ headers }: Answer) => headers.get('idempotent-replayed') === 'true'

describe('every POST of the document', () => {
  it('has a row here, and takes a key unless it is open to everybody', async () => {
    const { paths } = (await lab.anonymous.send('GET', '/api/openapi.json')).body
    const posts = Object.entries<Record<string, { parameters?: { name: string }[] }>>(paths).filter(
      ([, row]) => row['post'],
    )
    expect(posts.map(([path]) => path).toSorted()).toEqual(Object.keys(TABLE).toSorted())
    for (const [path, row] of posts) {
      const takesKey = row['post']?.parameters?.some(({ name }) => name === 'Idempotency-Key') === true
      expect(`${path}: ${takesKey}`).toBe(`${path}: ${TABLE[path] !== 'no key'}`)
    }
  })

  it.each(rows)(
    '%s does the same request once, and refuses another one with its key',
    async (_path, row) => {
      const who = await lab.person('administrator')
      const { path, body, other, after } = await row.ready(who)
      const before = await effects(who, row.audit)
      const first = await post(who, path, body, 'the-key')
      expect([first.status < 300, first.body]).toEqual([true, first.body])
      const second = await post(who, path, body, 'the-key')
      expect({ status: second.status, body: second.body }).toEqual({ status: first.status, body: first.body })
      expect([isReplay(first), isReplay(second)]).toEqual([false, true])
      expect((await effects(who, row.audit)) - before).toBe(1)

      const changed = await post(who, path, other, 'the-key')
      expect([changed.status, changed.body.error?.code]).toEqual([409, 'key_reused'])
      expect((await effects(who, row.audit)) - before).toBe(1)

      const somebodyElse = await lab.person('administrator')
      expect(isReplay(await post(somebodyElse, path, body, 'the-key'))).toBe(false)
      await after?.()
    },
    60_000,
  )

  it.each(rows)(
    '%s does twenty of the same at once one time',
    async (_path, row) => {
      const who = await lab.person('administrator')
      const { path, body, after } = await row.ready(who)
      const before = await effects(who, row.audit)
      const all = await Promise.all(Array.from({ length: 20 }, () => post(who, path, body, 'at-once')))
      for (const { status, body: answer } of all) {
        expect({ status, answer }).toEqual({ status: all[0]?.status, answer: all[0]?.body })
      }
      expect(all[0]?.status).toBeLessThan(300)
      expect(all.filter((answer) => !isReplay(answer))).toHaveLength(1)
      expect((await effects(who, row.audit)) - before).toBe(1)
      await after?.()
    },
    60_000,
  )

  it('that is refused may be tried again with its key', async () => {
    const who = await lab.person('administrator')
    for (let time = 0; time < 2; time += 1) {
      const refused = await post(who, '/api/system/rebuild', undefined, 'again')
      expect([refused.status, isReplay(refused)]).toEqual([409, false])
    }
    const body = { name: 'later', image: 'not-yet' }
    expect((await post(who, '/api/nodes', body, 'image')).status).toBe(404)
    await addTestImage(layout(), services().lab!.store, 'not-yet')
    expect((await post(who, '/api/nodes', body, 'image')).status).toBe(201)
  })

  it.each([['with space'], ['x'.repeat(201)]])('refuses the key %j', async (key) => {
    const who = await lab.person('administrator')
    const answer = await post(who, '/api/nodes', { name: fresh('never'), image: 'empty' }, key)
    expect([answer.status, answer.body.error.code]).toEqual([400, 'bad_request'])
  })
})

describe('after a restart of the backend', () => {
  let database: TestPostgres
  let first: TestLab
  let second: TestLab | undefined
  let person: Person
  const environment = () => ({ DATABASE_URL: databaseUrl(database.connection) })
  const labOf = (api: TestLab) => api.backend.services.lab!

  beforeAll(async () => {
    database = await startTestPostgres()
    first = await startTestLab({ keep: true, environment: environment() })
    await addTestImage(first.backend.services.config.layout, labOf(first).store, 'cloud', { cloudInit: true })
    person = await first.person('instructor')
  }, 60_000)
  afterAll(async () => {
    await (second ?? first)?.close()
    await database?.stop()
  })

  const asked = {
    one: { path: '/api/nodes', body: { name: 'one', image: 'cloud' } },
    all: { path: '/api/nodes/batch', body: { template: { image: 'cloud' }, count: 3, name: 'all-{n}' } },
    each: {
      path: '/api/nodes/batch',
      body: { template: { image: 'cloud' }, count: 3, name: 'each-{n}', keepGoing: true },
    },
  }
  type Asked = keyof typeof asked
  const send = (api: TestLab, which: Asked, body: unknown = asked[which].body) =>
    fetch(api.url + asked[which].path, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${person.token}`,
        'idempotency-key': `the key of ${which}`.replaceAll(' ', '-'),
      },
      body: JSON.stringify(body),
    }).then(async (response) => ({ status: response.status, body: JSON.parse(await response.text()) }))
  const passwordsOf = async (api: TestLab, operationId: string) => {
    await untilSeen('its end', async () => labOf(api).operations.get(operationId)?.state !== 'running')
    const response = await fetch(`${api.url}/api/operations/${operationId}/passwords`, {
      headers: { authorization: `Bearer ${person.token}` },
    })
    return JSON.parse(await response.text()).passwords
  }

  it('answers a journaled create with the same nodes and the same generated passwords', async () => {
    const one = await send(first, 'one')
    expect([one.status, one.body.guestPassword]).toEqual([201, expect.stringMatching(/^[a-z]{4}-/)])
    const told: Record<string, unknown> = {}
    for (const which of ['all', 'each'] as const) {
      const { body } = await send(first, which)
      told[which] = { id: body.operation.id, passwords: await passwordsOf(first, body.operation.id) }
    }
    await first.close()
    second = await startTestLab({ dataDir: first.dataDir, environment: environment() })

    const again = await send(second, 'one')
    expect(again).toMatchObject({ status: 201, body: { guestPassword: one.body.guestPassword } })
    expect(again.body.node.id).toBe(one.body.node.id)
    for (const which of ['all', 'each'] as const) {
      const { status, body } = await send(second, which)
      expect(status).toBe(202)
      const passwords = await passwordsOf(second, body.operation.id)
      expect(passwords).toHaveLength(3)
      expect({ id: body.operation.id, passwords }).toEqual(told[which])
    }
    expect(labOf(second).store.data.nodes).toHaveLength(7)
  }, 60_000)

  it('still refuses another request with a key that it knows', async () => {
    if (!second) throw new Error('it did not start again')
    for (const which of ['one', 'all', 'each'] as const) {
      const changed = which === 'one' ? { name: 'two', image: 'cloud' } : { ...asked[which].body, name: 'other-{n}' }
      const refused = await send(second, which, changed)
      expect([refused.status, refused.body.error?.code]).toEqual([409, 'key_reused'])
    }
    expect(labOf(second).store.data.nodes).toHaveLength(7)
  })
})
