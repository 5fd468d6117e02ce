import { afterEach, describe, expect, it } from '@jest/globals'
import { aDrive, aNode, aPlan, uuid } from '../support/cli-fixtures.js'
import { cli, startCli, startStubApi, type StubApi, type StubRoutes } from '../support/cli.js'
import { until } from '../support/until.js'

let api: StubApi
const serve = async (routes: StubRoutes) => void (api = await startStubApi(routes))
afterEach(async () => api?.close())

const GIB = 1024 ** 3
const PATH = `/api/nodes/${uuid(1)}/drives`
const plan = aPlan({ kind: 'drive.delete', title: 'Take the drive data away from web-1', creates: [], space: [] })
const sent = (line: string) => api.requests.filter((request) => request.line === line).map(({ body }) => body)

function routes(more: StubRoutes = {}): StubRoutes {
  return {
    'GET /api/nodes': { body: { nodes: [aNode(), aNode({ id: uuid(2), name: 'db' })] } },
    [`GET ${PATH}`]: {
      body: {
        drives: [
          aDrive({ id: 'root', root: true, appliesAtNextStart: false, limits: { bytesPerSecond: 20 * 1024 ** 2 } }),
          aDrive({ source: 'file', path: '/srv/tools.img', format: 'raw', readOnly: true, missing: true }),
        ],
      },
    },
    [`POST ${PATH}`]: { status: 201, body: { drive: aDrive() } },
    [`PATCH ${PATH}/data`]: { body: { drive: aDrive({ appliesAtNextStart: false }) } },
    [`DELETE ${PATH}/data?dryRun=true`]: { body: { plan } },
    [`DELETE ${PATH}/data`]: { status: 204 },
    [`POST ${PATH}/data/move`]: { body: { drive: aDrive({ id: 'from-web' }) } },
    ...more,
  }
}

describe('sandlabx drive ls', () => {
  it('shows each disk with what is special about it, in 80 columns', async () => {
    await serve(routes())
    const { exitCode, out } = await cli(['drive', 'ls', 'web-1'], { env: api.env, terminal: true, columns: 80 })
    expect(exitCode).toBe(0)
    const [, root, data] = out.split('\n')
    expect(root).toMatch(/^root +10\.0 GiB +1\.0 MiB +20\.0 MiB\/s +\(automatic\)$/)
    expect(data).toMatch(/^data +10\.0 GiB +1\.0 MiB +read-only +MISSING +\/srv\/tools\.img$/)
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
  })
})

describe('sandlabx drive add and set', () => {
  it('sends what was said, and says when the guest has it', async () => {
    await serve(routes())
    const argv = ['drive', 'add', 'web-1', 'data', '--size', '20G', '--read-only', '--cache', 'none', '--io', 'native']
    argv.push('--bps', '20M', '--burst-bps', '40M', '--iops', '500', '--burst-iops', '1000')
    const { exitCode, out } = await cli(argv, { env: api.env })
    expect(exitCode).toBe(0)
    expect(out).toContain('It is stored now; the guest has it like this from its next start on.')
    expect(sent(`POST ${PATH}`)).toEqual([
      {
        id: 'data',
        sizeBytes: 20 * GIB,
        readOnly: true,
        cache: 'none',
        io: 'native',
        limits: {
          bytesPerSecond: 20 * 1024 ** 2,
          burstBytesPerSecond: 40 * 1024 ** 2,
          operationsPerSecond: 500,
          burstOperationsPerSecond: 1000,
        },
      },
    ])
  })

  it('leaves what was not said to the server', async () => {
    await serve(routes())
    await cli(['drive', 'add', 'web-1', 'data'], { env: api.env })
    await cli(['drive', 'add', 'web-1', 'data', '--path', '/srv/tools.img'], { env: api.env })
    expect(sent(`POST ${PATH}`)).toEqual([{ id: 'data' }, { id: 'data', path: '/srv/tools.img' }])
  })

  it('lifts a limit with off, and makes a disk writable again', async () => {
    await serve(routes())
    await cli(['drive', 'set', 'web-1', 'data', '--bps', 'off', '--no-read-only'], { env: api.env })
    expect(sent(`PATCH ${PATH}/data`)).toEqual([{ readOnly: false, limits: { bytesPerSecond: null } }])
    expect(await cli(['drive', 'set', 'web-1', 'data'], { env: api.env })).toMatchObject({ exitCode: 2 })
  })

  it.each([
    [['--bps', '-1'], 'Give a number like 500 or 20M'],
    [['--iops', 'many'], 'Give a number like 500 or 20M'],
    [['--size', '-5G'], 'Give a size like 10G.'],
  ])('refuses %j as a usage error and asks nobody', async (argv, words) => {
    await serve({})
    const { exitCode, err } = await cli(['drive', 'add', 'web-1', 'data', ...argv], { env: api.env })
    expect({ exitCode, says: err.includes(words) }).toEqual({ exitCode: 2, says: true })
    expect(api.requests).toEqual([])
  })
})

describe('sandlabx drive grow, rm, move', () => {
  it('grows to a size or by one', async () => {
    await serve(routes())
    const grown = await cli(['drive', 'grow', 'web-1', 'data', '40G'], { env: api.env })
    expect(grown.out).toBe(
      'The drive data of web-1 has 40.0 GiB now. It is stored now; the guest has it like this when it starts.\n',
    )
    await cli(['drive', 'grow', 'web-1', 'data', '+10G'], { env: api.env })
    expect(sent(`PATCH ${PATH}/data`)).toEqual([{ sizeBytes: 40 * GIB }, { sizeBytes: 20 * GIB }])
    expect(await cli(['drive', 'grow', 'web-1', 'data', 'more'], { env: api.env })).toMatchObject({ exitCode: 2 })
  })

  it('asks before it takes one away; without a terminal --force is needed', async () => {
    await serve(routes())
    expect(await cli(['drive', 'rm', 'web-1', 'data'], { env: api.env })).toMatchObject({ exitCode: 2 })
    expect(api.requests).toEqual([])
    const run = startCli(['drive', 'rm', 'web-1', 'data'], { env: api.env, terminal: true })
    await until(() => run.err().includes('Take the drive data away from web-1?'))
    run.type('y')
    expect(await run.result).toMatchObject({
      exitCode: 0,
      out: 'web-1 has no drive data any more; its file is kept.\n',
    })
    expect(sent(`DELETE ${PATH}/data`)).toHaveLength(1)
  })

  it('moves one to another node, under another id there', async () => {
    await serve(routes())
    const { out } = await cli(['drive', 'move', 'web-1', 'data', 'db', '--as', 'from-web'], { env: api.env })
    expect(out).toContain('db has the drive from-web now.')
    expect(sent(`POST ${PATH}/data/move`)).toEqual([{ toNodeId: uuid(2), newId: 'from-web' }])
  })
})

describe('sandlabx settings', () => {
  const settings = {
    id: 'lab',
    trashDays: 7,
    snapshotSchedule: { hourly: 0, daily: 7, weekly: 0 },
    verifyHour: null,
    recordConsoles: false,
    recordingDays: 30,
    consoleHistoryDays: 365,
  }
  const labRoutes: StubRoutes = {
    'GET /api/settings': { body: { settings } },
    'PATCH /api/settings': ({ body }) => ({ body: { settings: { ...settings, ...(body as object) } } }),
  }

  it('shows them by the names that set takes', async () => {
    await serve(labRoutes)
    const { out } = await cli(['settings', 'show'], { env: api.env })
    expect(out.split('\n').slice(0, 4)).toEqual([
      'trash-days\t7',
      'verify-hour\toff',
      'snapshots-hourly\t0',
      'snapshots-daily\t7',
    ])
  })

  it.each([
    ['trash-days', '14', { trashDays: 14 }, 'after 14 days'],
    ['trash-days', 'never', { trashDays: null }, 'Nothing in the trash goes by itself.'],
    ['verify-hour', '3', { verifyHour: 3 }, 'from 3:00'],
    [
      'snapshots-hourly',
      '24',
      { snapshotSchedule: { hourly: 24, daily: 7, weekly: 0 } },
      '24 hourly, 7 daily are kept',
    ],
    ['record-consoles', 'on', { recordConsoles: true }, 'Each console says so'],
    ['record-consoles', 'off', { recordConsoles: false }, 'are not recorded'],
    ['recording-days', '14', { recordingDays: 14 }, 'after 14 days'],
    ['history-days', 'never', { consoleHistoryDays: null }, 'never forgotten'],
  ])('sets %s to %s', async (name, value, body, words) => {
    await serve(labRoutes)
    const { exitCode, out } = await cli(['settings', 'set', name, value], { env: api.env })
    expect({ exitCode, says: out.includes(words) }).toEqual({ exitCode: 0, says: true })
    expect(sent('PATCH /api/settings')).toEqual([body])
  })

  it('refuses a name or a value that it does not know', async () => {
    await serve(labRoutes)
    for (const argv of [
      ['colour', 'red'],
      ['trash-days', 'soon'],
      ['record-consoles', '1'],
    ]) {
      expect(await cli(['settings', 'set', ...argv], { env: api.env })).toMatchObject({ exitCode: 2 })
    }
    expect(api.requests).toEqual([])
  })
})
