import { appendFile, readdir, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { overlayFile } from '../../src/domain/layout.js'
import { nodeIdSchema } from '../../src/domain/ids.js'
import { EngineError } from '../../src/hosts/engine.js'
import { createFakeEngine } from '../../src/hosts/fake-engine.js'
import { listTrash } from '../../src/storage/trash-store.js'
import { addTestImage, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { until } from '../support/until.js'

jest.setTimeout(120_000)

let lab: TestLab
let teacher: Person

const open = async (environment: Record<string, string> = {}, dataDir?: string) => {
  lab = await startTestLab({ environment, keep: true, ...(dataDir === undefined ? {} : { dataDir }) })
  teacher = await lab.person('instructor')
  return lab
}
/** As `docker compose down` and `up`: no machine survives it. */
const restart = async (environment: Record<string, string> = {}) => {
  await lab.close()
  return open(environment, lab.dataDir)
}
const parts = () => lab.backend.services.lab!
const layout = () => lab.backend.services.config.layout
const record = (id: string) => parts().store.data.nodes.find((node) => node.id === id)!
const view = async (id: string) => (await teacher.send('GET', `/api/nodes/${id}`)).body.node
const statusOf = async (id: string) => (await view(id)).status as string
const post = (id: string, verb: string, body?: object) => teacher.send('POST', `/api/nodes/${id}/${verb}`, body)
const memories = async () => (await readdir(layout().overlays)).filter((name) => name.startsWith('suspended_'))
const memoryOf = (id: string) => `${layout().overlays}/${record(id).suspended!.memoryFile}`
const serialOf = async (id: string) => (await lab.engine.serialTail(nodeIdSchema.parse(id), 10_000)).toString('utf8')
const textsOf = (id: string) => record(id).events.map(({ text }) => text)

async function restored(entryId: string): Promise<void> {
  const { status, body } = await teacher.send('POST', `/api/trash/${entryId}/restore`, {})
  expect(status).toBe(202)
  await parts().operations.ended(body.operation.id)
}

let count = 0
async function runningNode(onStop?: 'suspend' | 'shutdown'): Promise<string> {
  const { body } = await teacher.send('POST', '/api/nodes', { name: `n${(count += 1)}`, image: 'empty', start: true })
  if (onStop) await teacher.send('PATCH', `/api/nodes/${body.node.id}`, { onStop })
  return body.node.id
}
async function suspendedNode(): Promise<string> {
  const id = await runningNode()
  expect(await post(id, 'suspend')).toMatchObject({ status: 200, body: { node: { status: 'suspended' } } })
  return id
}

beforeAll(async () => {
  await open()
  await addTestImage(layout(), parts().store)
}, 60_000)
afterAll(async () => {
  await lab.close()
  await rm(lab.dataDir, { recursive: true, force: true })
})
/** The next test finds no memory, and nothing that runs. */
afterEach(async () => {
  for (const { id } of parts().store.data.nodes) {
    if (record(id).suspended) await post(id, 'discard-memory')
    else await post(id, 'stop', { now: true })
  }
})

describe('a suspended node', () => {
  it('keeps its memory in one file, refuses with a reason what does not fit it, and goes on by a start', async () => {
    const id = await suspendedNode()
    const node = await view(id)
    expect(node).toMatchObject({ suspended: { why: 'asked' }, startedAt: null, desired: 'stopped' })
    expect(await memories()).toEqual([record(id).suspended!.memoryFile])
    expect((await stat(memoryOf(id))).mode & 0o777).toBe(0o600)
    for (const action of ['stop', 'clone', 'snapshot', 'reset', 'changeResources', 'changeDrives', 'console']) {
      expect(node.actions[action]).toMatch(/while it is suspended/)
    }
    expect(await post(id, 'stop', { now: true })).toMatchObject({
      status: 409,
      body: { error: { code: 'wrong_status' } },
    })
    expect(await post(id, 'clone', { name: 'copy' })).toMatchObject({ status: 409 })
    expect(await post(id, 'snapshots', { name: 'one' })).toMatchObject({ status: 409 })
    expect(await teacher.send('PATCH', `/api/nodes/${id}`, { cpus: 2 })).toMatchObject({ status: 409 })
    expect(await teacher.send('PATCH', `/api/nodes/${id}`, { onStop: 'shutdown' })).toMatchObject({ status: 200 })
    expect(await post(id, 'suspend')).toMatchObject({ status: 409 })

    expect(await post(id, 'start')).toMatchObject({
      status: 200,
      body: { node: { status: 'running', suspended: null } },
    })
    expect(await serialOf(id)).toContain('Fake Linux goes on')
    expect(await memories()).toEqual([])
    expect(textsOf(id)[0]).toMatch(/^Went on where it was in .*hardware clock is right/)
    expect(await post(id, 'resume')).toMatchObject({ status: 409 })
  })

  it('refuses every change of its drives, and a node whose drives were changed is not suspended', async () => {
    const id = await runningNode()
    expect(await post(id, 'drives', { id: 'data', sizeBytes: 1024 ** 2 })).toMatchObject({ status: 201 })
    expect(await post(id, 'suspend')).toMatchObject({ status: 409, body: { error: { code: 'wrong_status' } } })
    await post(id, 'stop', { now: true })
    await post(id, 'start')
    expect(await post(id, 'suspend')).toMatchObject({ status: 200 })
    const path = `/api/nodes/${id}/drives/data`
    expect(await post(id, 'drives', { id: 'more' })).toMatchObject({ status: 409 })
    expect(await teacher.send('PATCH', path, { cache: 'none' })).toMatchObject({ status: 409 })
    expect(await teacher.send('DELETE', path)).toMatchObject({ status: 409 })
    expect(await post(id, 'start')).toMatchObject({ status: 200, body: { node: { status: 'running' } } })
    expect(await serialOf(id)).toContain('Fake Linux goes on')
  })

  it.each([
    ['is missing', /memory is missing/, (id: string) => rm(memoryOf(id))],
    ['was cut short', /memory has/, (id: string) => truncate(memoryOf(id), 3)],
    [
      'is damaged',
      /damaged/,
      async (id: string) => writeFile(memoryOf(id), 'x'.repeat((await stat(memoryOf(id))).size)),
    ],
    ['is older than the disk', /disk was changed/, (id: string) => appendFile(overlayFile(layout(), id), 'more')],
    [
      'is older than a disk of the same length',
      /disk was changed/,
      (id: string) => utimes(overlayFile(layout(), id), new Date(), new Date(Date.now() + 5000)),
    ],
  ])('boots from its disk when its memory %s, which is kept aside and told', async (_what, why, harm) => {
    const id = await suspendedNode()
    const file = record(id).suspended!.memoryFile
    await harm(id)
    expect(await post(id, 'start')).toMatchObject({
      status: 200,
      body: { node: { status: 'running', suspended: null } },
    })
    expect(await serialOf(id)).toContain('login:')
    expect(record(id).events.find(({ kind }) => kind === 'warning')?.text).toMatch(why)
    expect(await memories()).toEqual([])
    const [entry] = await listTrash(layout())
    expect(entry).toMatchObject({ reason: 'memory-discarded', files: [{ name: file }] })
  })

  it('has its memory discarded on a wish, and brought back as long as nothing has run since', async () => {
    const id = await suspendedNode()
    expect(await post(id, 'discard-memory')).toMatchObject({ status: 200, body: { node: { status: 'stopped' } } })
    const [entry] = await listTrash(layout())
    await restored(entry!.id)
    expect(await statusOf(id)).toBe('suspended')
    expect((await listTrash(layout())).map((one) => one.id)).not.toContain(entry!.id)

    expect(await post(id, 'discard-memory', { start: true })).toMatchObject({ body: { node: { status: 'running' } } })
    expect(await serialOf(id)).toContain('login:')
    const [again] = await listTrash(layout())
    expect(await teacher.send('POST', `/api/trash/${again!.id}/restore`, {})).toMatchObject({ status: 409 })
    await post(id, 'stop', { now: true })
    await appendFile(overlayFile(layout(), id), 'more')
    expect(await teacher.send('POST', `/api/trash/${again!.id}/restore`, {})).toMatchObject({
      status: 409,
      body: { error: { code: 'storage_in_use' } },
    })
  })

  it("has a memory that is nobody's orphan, neither while the node is there nor beside its kept disk", async () => {
    const admin = await lab.person('administrator')
    const strays = async () =>
      (await admin.send('GET', '/api/storage/orphans')).body.orphans.filter(
        ({ kind }: { kind: string }) => kind === 'memory',
      )
    const id = await suspendedNode()
    const memory = `/overlays/${record(id).suspended!.memoryFile}`
    expect(await strays()).toEqual([])
    const discarded = await admin.send('POST', '/api/storage/discard', { path: memory })
    expect([discarded.status, discarded.body.error.code]).toEqual([409, 'storage_in_use'])
    await teacher.send('DELETE', `/api/nodes/${id}`)
    expect(await memories()).toHaveLength(1)
    expect(await strays()).toEqual([])
    await rm(`${layout().overlays}/node_${id}.json`)
    expect(await strays()).toMatchObject([{ path: memory }])
    await rm(`${layout().overlays}/${memory.split('/').at(-1)}`)
  })

  it('goes to the trash with its memory, and comes back suspended', async () => {
    const id = await suspendedNode()
    expect((await teacher.send('DELETE', `/api/nodes/${id}?deleteStorage=true`)).status).toBe(204)
    expect(await memories()).toEqual([])
    const [entry] = await listTrash(layout())
    await restored(entry!.id)
    expect(await statusOf(id)).toBe('suspended')
    expect(await post(id, 'start')).toMatchObject({ status: 200 })
    expect(await serialOf(id)).toContain('Fake Linux goes on')
  })
})

describe('a suspend that fails', () => {
  it('leaves the guest running when the disk is full', async () => {
    const id = await runningNode()
    lab.engine.failNext('suspend', new EngineError('no-space', "The host's disk is full."))
    expect(await post(id, 'suspend')).toMatchObject({ status: 507, body: { error: { code: 'no_space' } } })
    expect(await statusOf(id)).toBe('running')
    expect(record(id)).toMatchObject({ suspended: null, desired: 'running' })
    expect(await memories()).toEqual([])
    expect(await post(id, 'suspend')).toMatchObject({ status: 200 })
  })

  it('tells a guest whose machine ended meanwhile as crashed', async () => {
    const id = await runningNode()
    const release = lab.engine.hold('suspend')
    const asked = post(id, 'suspend')
    await until(async () => (await statusOf(id)) === 'suspending')
    lab.engine.crash(nodeIdSchema.parse(id))
    release()
    expect((await asked).status).toBeGreaterThanOrEqual(400)
    expect(await view(id)).toMatchObject({ status: 'crashed', suspended: null })
  })

  it('leaves a node suspended that could not be resumed', async () => {
    const id = await suspendedNode()
    lab.engine.failNext('start', new EngineError('no-capacity', 'The host has not enough memory for it.'))
    expect(await post(id, 'start')).toMatchObject({ status: 507 })
    expect(await statusOf(id)).toBe('suspended')
    expect(await memories()).toHaveLength(1)
    lab.engine.failNext('resume', new EngineError('host-unknown', 'QEMU does not answer.'))
    await post(id, 'start')
    expect(['running', 'paused']).toContain(await statusOf(id))
  })
})

/** In this order: each begins with the SandLabX that the one before has left. */
describe('SandLabX that is told to end', () => {
  beforeAll(async () => void (await restart({ SANDLABX_ON_STOP: 'suspend' })), 60_000)

  it('suspends what runs, each node by its own word, and lets go on what it suspended when it starts again', async () => {
    const [one, other, down, asked] = [
      await runningNode(),
      await runningNode(),
      await runningNode('shutdown'),
      await suspendedNode(),
    ]
    await restart({ SANDLABX_ON_STOP: 'suspend' })
    for (const id of [one, other]) await until(async () => (await statusOf(id)) === 'running')
    for (const id of [one, other]) expect(await serialOf(id)).toContain('Fake Linux goes on')
    expect(await statusOf(down)).toBe('stopped')
    expect(record(down).lastExit?.how).toBe('asked')
    expect(await statusOf(asked)).toBe('suspended')
    expect(await memories()).toEqual([record(asked).suspended!.memoryFile])
    expect(textsOf(one).join(' ')).toContain('because SandLabX was told to end')
    expect(await post(asked, 'resume')).toMatchObject({ status: 200, body: { node: { status: 'running' } } })
    expect(await serialOf(asked)).toContain('Fake Linux goes on')
  })

  it('lets all stand still before it saves the first one, and saves those that do not as well', async () => {
    const ids = [await runningNode(), await runningNode(), await runningNode()]
    lab.engine.failNext('standStill', new EngineError('host-unknown', 'QEMU does not answer.'))
    const release = lab.engine.hold('standStill')
    const ended = restart({ SANDLABX_ON_STOP: 'suspend' })
    await delay(300) // nothing is to happen in it
    expect(await memories()).toEqual([])
    release()
    await ended
    for (const id of ids) await until(async () => (await statusOf(id)) === 'running')
    for (const id of ids) expect(await serialOf(id)).toContain('Fake Linux goes on')
  })

  it('shuts down what it can not suspend, and loses nothing', async () => {
    const id = await runningNode()
    lab.engine.failNext('suspend', new EngineError('no-space', "The host's disk is full."))
    await restart({ SANDLABX_ON_STOP: 'suspend' })
    expect(await view(id)).toMatchObject({ status: 'stopped', lastExit: { how: 'asked' } })
    expect(await memories()).toEqual([])
  })

  it('keeps a node suspended whose turn fails at the start, and says so', async () => {
    const id = await runningNode()
    await lab.close()
    const report = { hosts: [{ id: 'local', up: true, cpus: 16, memoryMib: 64, freeMemoryMib: 1 }] }
    const engine = createFakeEngine({ layout: layout(), report })
    lab = await startTestLab({ dataDir: lab.dataDir, keep: true, engine })
    teacher = await lab.person('instructor')
    await until(() => textsOf(id)[0]?.startsWith('It did not go on when SandLabX was started') === true)
    expect(await statusOf(id)).toBe('suspended')
    engine.setReport({ hosts: [{ id: 'local', up: true, cpus: 16, memoryMib: 65_536, freeMemoryMib: 60_000 }] })
    expect(await post(id, 'resume')).toMatchObject({ status: 200 })
  })

  it('keeps all running without being told otherwise, but for a node that says so itself', async () => {
    const [kept, own] = [await runningNode(), await runningNode('suspend')]
    await restart()
    await until(async () => (await statusOf(own)) === 'running')
    expect(await serialOf(own)).toContain('Fake Linux goes on')
    expect(await statusOf(kept)).toBe('crashed') // the fake's machines end with it
  })
})
