import { afterEach, describe, expect, it } from '@jest/globals'
import { aNode, anOperation, aPlan, aTrashEntry, aUser, uuid } from '../support/cli-fixtures.js'
import { cli, startCli, startStubApi, type StubApi, type StubRoutes } from '../support/cli.js'
import { until } from '../support/until.js'

let api: StubApi
const serve = async (routes: StubRoutes) => void (api = await startStubApi(routes))
afterEach(async () => api?.close())

const sent = (line: string) => api.requests.filter((request) => request.line === line)
const plan = aPlan({ kind: 'trash.restore', title: 'Bring node web-1 back', creates: [], space: [] })
const back = anOperation({ kind: 'trash.restore', title: 'Bring node web-1 back', state: 'succeeded', target: null })

const entries = [
  aTrashEntry(),
  aTrashEntry({ id: `2026-11-20T10-00-00.000Z_${uuid(1)}`, reason: 'reset', title: 'disk of web-1' }),
  aTrashEntry({ id: `2026-11-19T10-00-00.000Z_${uuid(2)}`, nodeName: 'db', title: 'node db', purgedAt: null }),
]
const trash = { body: { entries, retentionDays: 7, totalBytes: 3 * 1024 ** 3 } }
const restorePath = (at: number) => `/api/trash/${encodeURIComponent(entries[at]?.id ?? '')}/restore`

describe('sandlabx trash ls', () => {
  it('shows what is there until when, with ids as short as they may be, in 80 columns', async () => {
    await serve({ 'GET /api/trash': trash })
    const { out, err } = await cli(['trash', 'ls'], { env: api.env, terminal: true, columns: 80 })
    expect(out.split('\n')[1]).toMatch(/^node web-1 of anna +deleted +1\.0 GiB +2026-11-28 \d\d:42 +2026-11-21$/)
    expect(out).toMatch(/^node db .* stays +2026-11-19$/m)
    expect(err).toContain('3.0 GiB in all; each goes for good after 7 days.')
    for (const line of out.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
    const piped = await cli(['trash', 'ls'], { env: api.env })
    expect(piped.out.split('\n')[0]?.split('\t').at(-1)).toBe(entries[0]?.id)
  })
})

describe('sandlabx trash restore', () => {
  const routes = (at: number, more: StubRoutes = {}): StubRoutes => ({
    'GET /api/trash': trash,
    [`POST ${restorePath(at)}?dryRun=true`]: { body: { plan } },
    [`POST ${restorePath(at)}`]: { status: 202, body: { operation: back } },
    ...more,
  })

  it('brings a deleted node back by its name, rather than one of its former disks', async () => {
    await serve(routes(0))
    const { exitCode, out } = await cli(['trash', 'restore', 'web-1', '--name', 'web-9'], { env: api.env })
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: 'node web-1 is back.\n' })
    expect(sent(`POST ${restorePath(0)}`)[0]?.body).toEqual({ name: 'web-9' })
  })

  it('brings anything back by the beginning of its id', async () => {
    await serve(routes(1))
    expect(await cli(['trash', 'restore', '2026-11-20'], { env: api.env })).toMatchObject({ exitCode: 0 })
    const several = await cli(['trash', 'restore', '2026-11'], { env: api.env })
    expect(several).toMatchObject({ exitCode: 2, err: expect.stringContaining('fits 3 things in the trash') })
    expect(await cli(['trash', 'restore', 'nobody'], { env: api.env })).toMatchObject({ exitCode: 1 })
  })

  it('asks only where something makes room for it, and needs --force for that without a terminal', async () => {
    const replacing = aPlan({
      replaces: [{ type: 'disk', id: uuid(1), name: 'web-1', bytes: 5, fate: 'moves to the trash' }],
    })
    await serve(routes(1, { [`POST ${restorePath(1)}?dryRun=true`]: { body: { plan: replacing } } }))
    expect(await cli(['trash', 'restore', '2026-11-20'], { env: api.env })).toMatchObject({ exitCode: 2 })
    expect(sent(`POST ${restorePath(1)}`)).toEqual([])
    const run = startCli(['trash', 'restore', '2026-11-20'], { env: api.env, terminal: true })
    await until(() => run.err().includes('Bring disk of web-1 back?'))
    run.type('y')
    expect((await run.result).exitCode).toBe(0)
  })
})

describe('sandlabx trash purge', () => {
  const purgePlan = aPlan({ kind: 'trash.purge', title: 'Empty the trash', creates: [], space: [] })
  const purged = anOperation({ kind: 'trash.purge', title: 'Empty the trash', state: 'succeeded', target: null })

  it('needs to be told what, in one way, and --force without a terminal', async () => {
    await serve({})
    for (const argv of [[], ['web-1', '--all', '--force'], ['--all', '--older-than', '3', '--force'], ['--all']]) {
      expect(await cli(['trash', 'purge', ...argv], { env: api.env })).toMatchObject({ exitCode: 2 })
    }
    expect(api.requests).toEqual([])
  })

  it('removes what is older, or single ones, for good', async () => {
    const path = `/api/trash/${encodeURIComponent(entries[2]?.id ?? '')}`
    await serve({
      'GET /api/trash': trash,
      'POST /api/trash/purge?dryRun=true': { body: { plan: purgePlan } },
      'POST /api/trash/purge': { status: 202, body: { operation: purged } },
      [`DELETE ${path}?dryRun=true`]: { body: { plan: purgePlan } },
      [`DELETE ${path}`]: { status: 204 },
    })
    expect(await cli(['trash', 'purge', '--older-than', '3', '--force'], { env: api.env })).toMatchObject({
      exitCode: 0,
    })
    expect(sent('POST /api/trash/purge')[0]?.body).toEqual({ olderThanDays: 3 })
    expect(await cli(['trash', 'purge', 'db', '--force'], { env: api.env })).toMatchObject({ exitCode: 0 })
    expect(sent(`DELETE ${path}`)).toHaveLength(1)
    const dry = await cli(['trash', 'purge', '--all', '--dry-run'], { env: api.env })
    expect(dry).toMatchObject({ exitCode: 0, out: expect.stringContaining('nothing was changed') })
    expect(sent('POST /api/trash/purge')).toHaveLength(1)
  })
})

describe('sandlabx undo', () => {
  const path = `/api/operations/${uuid(50)}/undo`

  it.each([[['undo']], [['operations', 'undo']]])('as %j brings back what an operation took away', async (argv) => {
    await serve({
      'GET /api/operations?limit=1000': { body: { operations: [anOperation()] } },
      [`POST ${path}?dryRun=true`]: { body: { plan } },
      [`POST ${path}`]: { status: 202, body: { operation: back } },
    })
    const { exitCode, out } = await cli([...argv, uuid(50).slice(0, 8)], { env: api.env })
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: 'All of it is back.\n' })
    expect(sent(`POST ${path}`)).toHaveLength(1)
  })
})

describe('sandlabx reset', () => {
  const item = (name: string, state: string, error: unknown = null) => ({ name, id: uuid(name.length), state, error })
  const running = anOperation({ kind: 'node.reset', title: 'Reset 2 nodes', items: [item('web-1', 'running')] })
  const done = {
    ...running,
    state: 'succeeded',
    items: [item('web-1', 'succeeded'), item('db', 'failed', { code: 'busy', message: 'It is cloned now.' })],
  }
  const resetPlan = aPlan({
    kind: 'node.reset',
    title: 'Reset 2 nodes',
    creates: [],
    replaces: [{ type: 'disk', id: uuid(1), name: 'web-1', bytes: 1024 ** 3, fate: 'moves to the trash' }],
  })
  const routes: StubRoutes = {
    'GET /api/nodes': { body: { nodes: [aNode(), aNode({ id: uuid(2), name: 'db' })] } },
    'GET /api/users': { body: { users: [aUser()] } },
    'POST /api/reset?dryRun=true': { body: { plan: resetPlan } },
    'POST /api/reset': { status: 202, body: { operation: running } },
    [`GET /api/operations/${uuid(50)}`]: { body: { operation: done } },
  }

  it('shows what is lost, asks once, tells each node as it goes, and how to undo all', async () => {
    await serve(routes)
    const run = startCli(['reset', 'web-1', 'db', '--keep-going'], { env: api.env, terminal: true })
    await until(() => run.err().includes('Reset web-1, db?'))
    expect(run.err()).toContain('disk web-1 (1.0 GiB) moves to the trash')
    run.type('y')
    const { exitCode, out, err } = await run.result
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: '1 node reset.\n' })
    expect(err).toContain('✓ web-1\n')
    expect(err).toContain('✗ db: It is cloned now.\n')
    expect(err).toContain(`sandlabx undo ${uuid(50).slice(0, 8)}`)
    expect(err).toContain('1 of 2 could not be reset: It is cloned now.')
    expect(sent('POST /api/reset')[0]?.body).toEqual({ nodeIds: [uuid(1), uuid(2)], keepGoing: true })
  })

  it.each([
    [['--all', '--now'], { all: true, now: true }],
    [['--owner', 'anna'], { ownerId: uuid(100) }],
    [['--name', 'web-*', '--snapshot', 'monday'], { name: 'web-*', snapshot: 'monday' }],
  ])('takes %j as the selection', async (argv, body) => {
    await serve(routes)
    await cli(['reset', ...argv, '--force'], { env: api.env })
    expect(sent('POST /api/reset')[0]?.body).toEqual(body)
  })

  it('needs one way to say which, and --force without a terminal; a dry run resets nothing', async () => {
    await serve(routes)
    for (const argv of [[], ['web-1', '--all'], ['--all']]) {
      expect(await cli(['reset', ...argv], { env: api.env })).toMatchObject({ exitCode: 2 })
    }
    expect(api.requests).toEqual([])
    expect(await cli(['reset', '--all', '--dry-run'], { env: api.env })).toMatchObject({ exitCode: 0 })
    expect(sent('POST /api/reset')).toEqual([])
  })
})
