import { afterEach, describe, expect, it } from '@jest/globals'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { aNode, anOperation, aPlan, aSnapshot, uuid } from '../support/cli-fixtures.js'
import { cli, refusal, startCli, startStubApi, type StubApi, type StubRoutes } from '../support/cli.js'
import { until } from '../support/until.js'

let api: StubApi
let folder: string | undefined
const serve = async (routes: StubRoutes) => void (api = await startStubApi(routes))

afterEach(async () => {
  await api?.close()
  if (folder !== undefined) await rm(folder, { recursive: true })
  folder = undefined
})

const PATH = `/api/nodes/${uuid(1)}/snapshots`
const ONE = `${PATH}/${uuid(70)}`
const operation = (kind: string) => anOperation({ kind, title: 'Work on web-1', state: 'succeeded', target: null })
const plan = aPlan({ kind: 'snapshot.restore', title: 'Restore web-1 to monday', creates: [], space: [] })
const sent = (line: string) => api.requests.filter((request) => request.line === line).map(({ body }) => body)

function routes(more: StubRoutes = {}): StubRoutes {
  return {
    'GET /api/nodes': { body: { nodes: [aNode()] } },
    [`GET ${PATH}`]: {
      body: {
        snapshots: [
          aSnapshot({ id: uuid(71), name: 'tuesday', parentId: uuid(70), consistency: 'frozen', automatic: 'daily' }),
          aSnapshot({ current: false }),
        ],
      },
    },
    [`POST ${PATH}`]: { status: 202, body: { operation: operation('snapshot.create') } },
    ...more,
  }
}

describe('sandlabx snapshot NODE create', () => {
  it.each([
    [['monday', '--note', 'before'], { name: 'monday', note: 'before' }],
    [['root', 'monday'], { name: 'monday', drives: ['root'] }],
    [['monday', '--drive', 'root', '--drive', 'data'], { name: 'monday', drives: ['root', 'data'] }],
    [['monday', '--memory', '--freeze'], { name: 'monday', memory: true, freeze: true }],
  ])('with %j asks for that and leaves the rest to the server', async (argv, body) => {
    await serve(routes())
    const { exitCode, out } = await cli(['snapshot', 'web-1', 'create', ...argv], { env: api.env })
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: 'The snapshot monday of web-1 is taken.\n' })
    expect(sent(`POST ${PATH}`)).toEqual([body])
  })

  it('takes the words in either order, with options before them', async () => {
    await serve(routes())
    for (const argv of [
      ['snapshot', 'create', 'web-1', 'monday'],
      ['--json', 'snapshot', 'web-1', 'create', 'monday'],
      ['--idempotency-key', 'k1', 'snapshot', 'web-1', 'create', 'monday'],
    ]) {
      expect(await cli(argv, { env: api.env })).toMatchObject({ exitCode: 0 })
    }
    expect(sent(`POST ${PATH}`)).toHaveLength(3)
    expect(api.requests.at(-1)?.headers['idempotency-key']).toBe('k1')
  })

  it('refuses more words than it understands', async () => {
    await serve({})
    for (const words of [
      ['a', 'b', 'c'],
      ['root', 'monday', '--drive', 'data'],
    ]) {
      expect(await cli(['snapshot', 'web-1', 'create', ...words], { env: api.env })).toMatchObject({ exitCode: 2 })
    }
    expect(api.requests).toEqual([])
  })

  it('shows the order of the words in its help', async () => {
    const { out } = await cli(['snapshot', 'create', '--help'])
    expect(out).toContain('Usage: sandlabx snapshot <node> create <name...> [options]')
    expect((await cli(['snapshot', '--help'])).out).toContain('<node> restore')
  })
})

describe('sandlabx snapshot NODE ls', () => {
  it('lists them, also without the word', async () => {
    await serve(routes())
    for (const argv of [
      ['snapshot', 'web-1', 'ls'],
      ['snapshot', 'web-1'],
    ]) {
      const { exitCode, out } = await cli(argv, { env: api.env })
      expect(exitCode).toBe(0)
      expect(out.split('\n')[0]).toMatch(/^tuesday\t2026-11-21 \d\d:42\t1\.0 GiB\tfrozen, daily\tmonday\tbefore/)
    }
  })

  it('marks the one that the disks stand on, on a terminal', async () => {
    await serve(routes())
    const { out } = await cli(['snapshot', 'web-1', 'ls'], { env: api.env, terminal: true, columns: 74 })
    expect(out).toMatch(/ before [a-z ]+…\n/)
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(74)
    expect(out.split('\n').map((line) => line.slice(0, 9))).toEqual(['  NAME   ', '● tuesday', '  monday ', ''])
  })
})

describe('sandlabx snapshot NODE restore and delete', () => {
  const more: StubRoutes = {
    [`POST ${ONE}/restore?dryRun=true`]: { body: { plan } },
    [`POST ${ONE}/restore`]: { status: 202, body: { operation: operation('snapshot.restore') } },
    [`DELETE ${ONE}?dryRun=true`]: { body: { plan } },
    [`DELETE ${ONE}`]: { status: 202, body: { operation: operation('snapshot.delete') } },
  }

  it('shows the plan, asks, restores, and says how to undo it', async () => {
    await serve(routes(more))
    const run = startCli(['snapshot', 'web-1', 'restore', 'monday', '--now'], { env: api.env, terminal: true })
    await until(() => run.err().includes('Restore web-1 to monday?'))
    run.type('y')
    const { exitCode, out, err } = await run.result
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: 'web-1 is as it was in monday.\n' })
    expect(err).toContain('sandlabx undo 00000000')
    expect(sent(`POST ${ONE}/restore`)).toEqual([{ now: true }])
  })

  it('needs --force without a terminal', async () => {
    await serve(routes(more))
    for (const word of ['restore', 'delete']) {
      expect(await cli(['snapshot', 'web-1', word, 'monday'], { env: api.env })).toMatchObject({ exitCode: 2 })
    }
    expect(api.requests).toEqual([])
    expect(await cli(['snapshot', 'web-1', 'rm', 'monday', '--force'], { env: api.env })).toMatchObject({ exitCode: 0 })
    expect(sent(`DELETE ${ONE}`)).toHaveLength(1)
  })

  it('says which there are when there is none of that name', async () => {
    await serve(routes(more))
    const { exitCode, err } = await cli(['snapshot', 'web-1', 'restore', 'sunday', '--force'], { env: api.env })
    expect({ exitCode, err }).toEqual({
      exitCode: 1,
      err: 'sandlabx: web-1 has no snapshot "sunday". · List them with "sandlabx snapshot web-1 ls".\n',
    })
  })
})

describe('sandlabx snapshot NODE export', () => {
  const bytes = Buffer.from('QFI\u00fb and so on')
  const whole = { bytes, headers: { 'content-type': 'application/octet-stream', 'content-length': `${bytes.length}` } }

  it('saves the disk under its name once all of it is there', async () => {
    folder = await mkdtemp(join(tmpdir(), 'sandlabx-cli-'))
    const file = join(folder, 'web.qcow2')
    await serve(routes({ [`GET ${ONE}/export?drive=root`]: whole, [`GET ${ONE}/export?drive=data`]: whole }))
    const saved = await cli(['snapshot', 'web-1', 'export', 'monday', file, '--json'], { env: api.env })
    expect(saved.exitCode).toBe(0)
    expect(JSON.parse(saved.out)).toMatchObject({ file, bytes: bytes.length })
    expect(await readFile(file)).toEqual(bytes)
    const again = ['snapshot', 'web-1', 'export', 'data', 'monday', file]
    expect(await cli(again, { env: api.env })).toMatchObject({ exitCode: 2, err: expect.stringContaining('--force') })
    expect(await cli([...again, '--force'], { env: api.env })).toMatchObject({ exitCode: 0 })
    expect(await readdir(folder)).toEqual(['web.qcow2'])
  })

  it('leaves nothing behind when it is refused or the connection breaks', async () => {
    folder = await mkdtemp(join(tmpdir(), 'sandlabx-cli-'))
    const file = join(folder, 'web.qcow2')
    const path = `GET ${ONE}/export?drive=root`
    await serve(routes({ [path]: { status: 507, body: refusal('no_space', 'No room to prepare it.', 'Free some.') } }))
    const refused = await cli(['snapshot', 'web-1', 'export', 'monday', file], { env: api.env })
    expect(refused).toMatchObject({ exitCode: 1, err: expect.stringContaining('No room to prepare it. · Free some.') })
    await api.close()
    await serve(routes())
    const [answer] = api.server.listeners('request') as RequestListener[]
    api.server.removeAllListeners('request')
    api.server.on('request', (request, response) => {
      if (request.url?.includes('/export') !== true) {
        answer?.(request, response)
        return
      }
      response.writeHead(200, { 'content-length': '1000' })
      response.write('the first bytes')
      setImmediate(() => response.destroy())
    })
    const broken = await cli(['snapshot', 'web-1', 'export', 'monday', file], { env: api.env })
    expect(broken).toMatchObject({ exitCode: 1, err: expect.stringContaining('broke; nothing was saved') })
    expect(await readdir(folder)).toEqual([])
  })

  it('saves nothing in a folder that is not there', async () => {
    await serve(routes())
    const { exitCode, err } = await cli(['snapshot', 'web-1', 'export', 'monday', '/nonexistent/x'], { env: api.env })
    expect({ exitCode, says: err.includes("can't be written") }).toEqual({ exitCode: 2, says: true })
  })
})

describe('sandlabx snapshot NODE rename, note, schedule', () => {
  it('changes only what was given', async () => {
    await serve(routes({ [`PATCH ${ONE}`]: { body: { snapshot: aSnapshot() } } }))
    await cli(['snapshot', 'web-1', 'rename', 'monday', 'first'], { env: api.env })
    await cli(['snapshot', 'web-1', 'note', 'monday', 'all is well'], { env: api.env })
    expect(sent(`PATCH ${ONE}`)).toEqual([{ name: 'first' }, { note: 'all is well' }])
  })

  it.each([
    [['--hourly', '24', '--daily', '7'], { hourly: 24, daily: 7, weekly: 0 }],
    [['--off'], { hourly: 0, daily: 0, weekly: 0 }],
    [['--inherit'], null],
  ])('sets a schedule with %j', async (argv, schedule) => {
    const path = `/api/nodes/${uuid(1)}/snapshot-schedule`
    await serve(routes({ [`PUT ${path}`]: { body: { node: aNode({ snapshotSchedule: schedule }) } } }))
    expect(await cli(['snapshot', 'web-1', 'schedule', ...argv], { env: api.env })).toMatchObject({ exitCode: 0 })
    expect(sent(`PUT ${path}`)).toEqual([{ schedule }])
  })

  it('tells what is set without an option, and refuses two ways at once', async () => {
    await serve(routes())
    const { out } = await cli(['snapshot', 'web-1', 'schedule'], { env: api.env })
    expect(out).toBe("web-1: as the lab's settings say.\n")
    const both = ['snapshot', 'web-1', 'schedule', '--off', '--daily', '1']
    expect(await cli(both, { env: api.env })).toMatchObject({ exitCode: 2 })
  })
})

describe('sandlabx test-boot', () => {
  const path = `/api/test-boots/${uuid(50)}`
  const report = {
    operationId: uuid(50),
    title: 'the disk of web-1',
    state: 'success',
    seen: 'login',
    message: 'A login prompt was seen.',
    tookMs: 2300,
    serialTail: ['Kernel panic', 'not syncing'],
    hasScreenshot: true,
    at: '2026-11-21T07:42:10.000Z',
  }
  const boots = (changes: Record<string, unknown> = {}): StubRoutes =>
    routes({
      'POST /api/test-boots': { status: 202, body: { operation: operation('node.testBoot') } },
      [`GET ${path}`]: { body: { report: { ...report, ...changes } } },
      [`GET ${path}/screenshot`]: { bytes: Buffer.from('PNG'), headers: { 'content-type': 'image/png' } },
    })

  it.each([
    ['web-1', { nodeId: uuid(1) }],
    ['web-1@monday', { snapshotId: uuid(70) }],
    ['/overlays/old.qcow2', { path: '/overlays/old.qcow2' }],
  ])('boots %s and says what it saw', async (what, target) => {
    await serve(boots())
    const argv = ['test-boot', what, '--expect', 'ready', '--timeout', '60', '--memory', '256M']
    const { exitCode, out } = await cli(argv, { env: api.env })
    expect({ exitCode, out }).toEqual({
      exitCode: 0,
      out: '✓ the disk of web-1 · it boots: a login prompt after 2.3 s\n',
    })
    expect(sent('POST /api/test-boots')).toEqual([{ ...target, expect: 'ready', timeoutSeconds: 60, memoryMib: 256 }])
  })

  it('exits 3 with the last serial lines when it does not boot, and saves the screenshot', async () => {
    folder = await mkdtemp(join(tmpdir(), 'sandlabx-cli-'))
    const file = join(folder, 'screen.png')
    await serve(boots({ state: 'failure', seen: null, message: 'No login prompt within 180 s.' }))
    const { exitCode, out } = await cli(['test-boot', 'web-1', '--screenshot', file], { env: api.env })
    expect({ exitCode, out }).toEqual({
      exitCode: 3,
      out: [
        '✗ the disk of web-1 · No login prompt within 180 s.',
        'The last lines on its serial console:',
        '  Kernel panic',
        '  not syncing',
        `Its last screen is in ${file}.`,
        '',
      ].join('\n'),
    })
    expect(await readFile(file, 'utf8')).toBe('PNG')
  })

  it('means a file that lies here with its whole path', async () => {
    folder = await mkdtemp(join(tmpdir(), 'sandlabx-cli-'))
    await writeFile(join(folder, 'x.qcow2'), '')
    const relative = join('..', '..', '..', '..', '..', '..', '..', '..', folder, 'x.qcow2')
    await serve(boots())
    await cli(['test-boot', relative], { env: api.env })
    expect(sent('POST /api/test-boots')).toEqual([{ path: join(folder, 'x.qcow2') }])
  })
})
