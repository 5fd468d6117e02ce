import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createLog } from '../../src/system/log.js'
import { postgresIdentity, startPostgres } from '../../src/system/postgres.js'
import { startBackendProcess } from '../faults/backend-process.js'
import { compileProgram } from '../faults/fuzz-program.js'
import { createProcessLab } from '../qemu/process-lab.js'
import { connectConsole, type ConsoleClient } from '../console/console-client.js'
import { addTestImage, databaseUrl, startTestLab, type Person, type TestLab } from '../support/lab.js'
import { FAST, startTestPostgres } from '../support/postgres.js'
import { READY } from '../support/tiny-guest.js'
import { untilSeen } from '../support/until.js'

const run = promisify(execFile)

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  jest.useRealTimers()
  for (const step of closing.splice(0).toReversed()) await step()
})

async function openLab(options: Parameters<typeof startTestLab>[0] = {}): Promise<TestLab> {
  const lab = await startTestLab(options)
  closing.push(() => lab.close())
  await addTestImage(lab.backend.services.config.layout, lab.backend.services.lab!.store)
  return lab
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sandlabx-bad-day-'))
  closing.push(() => rm(folder, { recursive: true, force: true }))
  return folder
}

/** Open, and told who is there. */
async function serialOf(lab: TestLab, who: Person, nodeId: string): Promise<ConsoleClient> {
  const { body } = await who.send('POST', `/api/nodes/${nodeId}/consoles`, { kind: 'serial', mode: 'control' })
  const client = await connectConsole(lab.url.replace('http', 'ws') + body.url, { token: who.token })
  closing.push(async () => client.ws.terminate())
  await untilSeen('the line', async () => client.isWriter)
  return client
}

/** A file system of this size, for a data folder of its own. Needs root, as mounting does. */
async function mounted(mebibytes: number): Promise<string> {
  const folder = await temporaryFolder()
  await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', folder])
  closing.push(() => run('umount', ['-l', folder]))
  return folder
}

describe('the disk is full', () => {
  it('a create is refused with 507 and its three figures, and leaves nothing', async () => {
    const dataDir = await mounted(300)
    const lab = await openLab({ dataDir, keep: true })
    const person = await lab.person('administrator')
    await writeFile(join(dataDir, 'filler'), Buffer.alloc(160 * 1024 * 1024))
    const refused = await person.send('POST', '/api/nodes', { name: 'web', image: 'empty' })
    expect([refused.status, refused.body.error.code]).toEqual([507, 'no_space'])
    expect(refused.body.error.details).toMatchObject({
      requiredBytes: expect.any(Number),
      availableBytes: expect.any(Number),
      freeUpBytes: expect.any(Number),
    })
    expect((await person.send('GET', '/api/nodes')).body.nodes).toEqual([])
    expect((await readdir(join(dataDir, 'overlays'))).filter((name) => name.startsWith('node_'))).toEqual([])
    await rm(join(dataDir, 'filler'))
    expect((await person.send('POST', '/api/nodes', { name: 'web', image: 'empty' })).status).toBe(201)
  })

  it('to the last byte: a change is refused with 507, memory stays as it was, and the next one is saved', async () => {
    const dataDir = await mounted(300)
    const lab = await openLab({ dataDir, keep: true })
    const person = await lab.person('administrator')
    const { node } = (await person.send('POST', '/api/nodes', { name: 'web', image: 'empty' })).body
    const filler = join(dataDir, 'filler')
    await writeFile(filler, Buffer.alloc(512 * 1024 * 1024)).catch(() => undefined) // until it is full
    const refused = await person.send('PATCH', `/api/nodes/${node.id}`, { name: 'renamed' })
    expect([refused.status, refused.body.error.code]).toEqual([507, 'no_space'])
    expect((await person.send('GET', `/api/nodes/${node.id}`)).body.node.name).toBe('web')
    await truncate(filler, 0)
    expect((await person.send('PATCH', `/api/nodes/${node.id}`, { name: 'renamed' })).status).toBe(200)
  })
})

describe('too many open files', () => {
  it('a create is refused with the cause, reads go on, and it works again by itself', async () => {
    const program = await compileProgram()
    closing.push(() => program.remove())
    const database = await startTestPostgres()
    closing.push(() => database.stop())
    const dataDir = await temporaryFolder()
    const lab = await startTestLab({ dataDir, keep: true })
    await addTestImage(lab.backend.services.config.layout, lab.backend.services.lab!.store)
    await lab.close()
    const main = program.path('src/main.js')
    const backend = await startBackendProcess({ main, dataDir, databaseUrl: databaseUrl(database.connection) })
    closing.push(() => backend.kill('SIGTERM'))
    const create = (name: string) => backend.send('POST', '/api/nodes', { name, image: 'empty' })
    expect((await create('before')).status).toBe(201)
    // Below these numbers all are in use for as long as it lives: every new one is refused.
    await run('prlimit', ['--pid', String(backend.pid), '--nofile=12:20000'])
    const refused = await create('during')
    expect(refused.status).toBe(503)
    expect(refused.body.error.message).toMatch(/EMFILE|disk of during/)
    expect((await backend.send('GET', '/api/nodes')).status).toBe(200)
    await run('prlimit', ['--pid', String(backend.pid), '--nofile=20000:20000'])
    expect((await create('during')).status).toBe(201)
    const { nodes } = (await backend.send('GET', '/api/nodes')).body as { nodes: { name: string }[] }
    expect(nodes.map(({ name }) => name).toSorted()).toEqual(['before', 'during'])
  })
})

describe('the clock jumps', () => {
  /** Only the wall clock: timers and `performance` go on as they do on a machine whose clock is set. */
  function setClock(offsetMs: number): void {
    const now = Date.now() + offsetMs
    jest.useFakeTimers({
      now,
      doNotFake: [
        'hrtime',
        'nextTick',
        'performance',
        'queueMicrotask',
        'setImmediate',
        'clearImmediate',
        'setInterval',
        'clearInterval',
        'setTimeout',
        'clearTimeout',
      ],
    })
  }

  it.each([
    ['an hour ahead', 3_600_000],
    ['an hour back', -3_600_000],
    ['a year back', -365 * 86_400_000],
  ])('%s: changes go on, their order stays that of their making', async (_, offsetMs) => {
    const lab = await openLab()
    const person = await lab.person('administrator')
    const create = async (name: string) => (await person.send('POST', '/api/nodes', { name, image: 'empty' })).status
    expect(await create('before')).toBe(201)
    setClock(offsetMs)
    expect(await create('after')).toBe(201)
    const [after, before] = (await person.send('GET', '/api/operations')).body.operations as { title: string }[]
    expect([after?.title, before?.title]).toEqual(['Create after', 'Create before'])
    const { entries } = (await person.send('GET', '/api/audit?action=node.create')).body
    expect(JSON.stringify(entries[0])).toContain('"after"')
    const { id } = (await person.send('GET', '/api/nodes')).body.nodes[1]
    expect((await person.send('POST', `/api/nodes/${id}/start`)).status).toBe(200)
    expect((await person.send('POST', `/api/nodes/${id}/stop`, {})).status).toBe(200)
  })

  it('a year back: a session ends, since nobody can say how old it is', async () => {
    const lab = await openLab()
    const { login } = await lab.person('administrator')
    const origin = { origin: lab.url, 'x-sandlabx': '1' }
    const signedIn = await lab.anonymous.send(
      'POST',
      '/api/session',
      { login, password: `password of ${login}` },
      origin,
    )
    const cookie = signedIn.headers.get('set-cookie')?.split(';')[0] ?? ''
    expect((await lab.anonymous.send('GET', '/api/nodes', undefined, { cookie })).status).toBe(200)
    setClock(-365 * 86_400_000)
    expect((await lab.anonymous.send('GET', '/api/nodes', undefined, { cookie })).status).toBe(401)
  })
})

describe('the database is away', () => {
  it('refuses changes and sign-ins with the reason, keeps nodes and consoles, and the audit lacks nothing when it is back', async () => {
    const database = await startTestPostgres()
    closing.push(() => database.stop())
    const lab = await openLab({ environment: { DATABASE_URL: databaseUrl(database.connection) } })
    const person = await lab.person('administrator')
    const { node } = (await person.send('POST', '/api/nodes', { name: 'web', image: 'empty', start: true })).body
    const serial = await serialOf(lab, person, node.id)
    await database.server.stop()
    serial.type('still here?')
    await untilSeen('the guest’s echo', async () => serial.text.includes('still here?'))
    serial.tell({ type: 'release-control' })
    const credentials = { login: person.login, password: `password of ${person.login}` }
    const signIn = () => lab.anonymous.send('POST', '/api/session', credentials, { origin: lab.url, 'x-sandlabx': '1' })
    const out = await signIn()
    expect([out.status, out.body.error.code]).toEqual([503, 'database_down'])
    expect(out.body.error.message).toMatch(/database/)
    const refused = await person.send('POST', '/api/nodes', { name: 'second', image: 'empty' })
    expect([refused.status, refused.body.error.code]).toEqual([503, 'database_down'])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(lab.backend.services.lab!.nodes.get(node.id).status).toBe('running')
    const again = await startPostgres({
      layout: database.layout,
      log: createLog('silent'),
      identity: postgresIdentity(),
      settings: FAST,
    })
    closing.push(() => again.stop())
    const back = await untilSeen('the database is back', async () => {
      const { status, body } = await person.send('POST', '/api/nodes', { name: 'second', image: 'empty' })
      return status === 201 && body
    })
    expect(back.node.name).toBe('second')
    expect(serial.ws.readyState).toBe(serial.ws.OPEN)
    expect((await signIn()).status).toBe(200)
    const entries = await untilSeen('the audit of that time', async () => {
      const { body } = await person.send('GET', '/api/audit?limit=100')
      const kept = (body.entries as { action: string; result: string }[]).map((one) => `${one.action} ${one.result}`)
      return kept.includes('console.releaseControl success') && kept
    })
    expect(entries).toEqual(expect.arrayContaining(['node.create success']))
    expect(lab.engine.startsOf(node.id)).toBe(1)
  })
})

describe('a guest’s QEMU hangs', () => {
  it('the others answer as before', async () => {
    const lab = await createProcessLab()
    closing.push(() => lab.close())
    const engine = await lab.open()
    const specs = [lab.newSpec(), lab.newSpec()] as const
    for (const spec of specs) {
      await engine.ensureNode(spec, `make-${spec.id}`).wait()
      await engine.start(spec, `start-${spec.id}`).wait()
    }
    const [hanging, other] = specs
    await untilSeen('both are up', async () => {
      const tails = await Promise.all(specs.map(({ id }) => engine.serialTail(id, 100)))
      return tails.every((tail) => tail.toString().includes(READY.trim()))
    })
    const { pid } = await engine.inspect(hanging.id)
    process.kill(pid ?? 0, 'SIGSTOP')
    closing.push(async () => process.kill(pid ?? 0, 'SIGCONT'))
    const silent = engine.sendKeys(hanging.id, ['a']).then(
      () => 'answered',
      () => 'gave up',
    )
    for (let key = 0; key < 20; key += 1) await engine.sendKeys(other.id, ['a'])
    // All of them went through while the one that hangs was still waited for.
    expect(await Promise.race([silent, Promise.resolve('still waiting')])).toBe('still waiting')
    expect(await silent).toBe('gave up')
    expect((await engine.inspect(other.id)).phase).toBe('running')
  })
})
