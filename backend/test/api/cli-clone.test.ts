import { afterEach, describe, expect, it } from '@jest/globals'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { aNode, anOperation, aPlan, aUser, uuid } from '../support/cli-fixtures.js'
import {
  cli,
  refusal,
  startCli,
  startStubApi,
  type StubAnswer,
  type StubApi,
  type StubRequest,
  type StubRoutes,
} from '../support/cli.js'
import { until } from '../support/until.js'

let api: StubApi
let folder: string | undefined
const serve = async (routes: StubRoutes) => void (api = await startStubApi(routes))

afterEach(async () => {
  await api?.close()
  if (folder !== undefined) await rm(folder, { recursive: true })
  folder = undefined
})

const PATH = `/api/nodes/${uuid(1)}/clone`
const clone = aNode({ id: uuid(2), name: 'web-2', status: 'stopped' })
const done = anOperation({
  kind: 'node.clone',
  title: 'Clone web-1 to web-2',
  state: 'succeeded',
  items: [{ name: 'web-2', id: uuid(2), state: 'succeeded', error: null }],
})
const taken: StubAnswer = { status: 409, body: refusal('name_taken', 'A node named web-2 already exists.', 'Choose.') }
const replacing = aPlan({
  replaces: [{ type: 'node', id: uuid(9), name: 'web-2', bytes: 1.25 * 1024 ** 3, fate: 'moves to the trash' }],
  warnings: ['The node web-2 exists already and moves to the trash.'],
})

function routes(more: StubRoutes = {}): StubRoutes {
  return {
    'GET /api/nodes': { body: { nodes: [aNode(), clone] } },
    'GET /api/users': { body: { users: [aUser()] } },
    [`POST ${PATH}`]: { status: 202, body: { operation: { ...done, state: 'running' } } },
    [`POST ${PATH}?dryRun=true`]: { body: { plan: replacing } },
    [`GET /api/operations/${uuid(50)}`]: { body: { operation: done } },
    [`GET /api/operations/${uuid(50)}/passwords`]: { body: { passwords: [] } },
    ...more,
  }
}

const sent = () => api.requests.filter(({ line }) => line === `POST ${PATH}`).map(({ body }) => body)
/** The name is taken unless the request says what to do about it. */
const conflict = ({ body }: StubRequest): StubAnswer => {
  const { name, force } = body as { name: string; force?: boolean }
  return name === 'web-2' && force !== true ? taken : { status: 202, body: { operation: done } }
}

describe('sandlabx clone', () => {
  it('sends what was asked for, follows it and shows the clone', async () => {
    await serve(routes())
    const argv = ['clone', 'web-1', 'web-2', '--full', '--snapshot', 'monday', '--snapshot-first', '--owner', 'anna']
    const { exitCode, out, err } = await cli([...argv, '--start'], { env: api.env })
    expect({ exitCode, err }).toEqual({
      exitCode: 0,
      err: ['', ' · installing packages', ''].map((step) => `Clone web-1 to web-2${step}\n`).join(''),
    })
    expect(out).toContain(`Id\t${uuid(2)}`)
    expect(sent()).toEqual([
      { name: 'web-2', full: true, snapshot: 'monday', snapshotFirst: true, ownerId: uuid(100), start: true },
    ])
  })

  it('leaves what was not asked for to the server, and does not wait with --no-wait', async () => {
    await serve(routes())
    const { out } = await cli(['clone', 'web-1', 'w-{n}', '--count', '3', '--no-wait'], { env: api.env })
    expect(out).toContain('Started: Clone web-1 to web-2.')
    expect(sent()).toEqual([{ name: 'w-{n}', count: 3 }])
  })

  it('plans with --dry-run, and exits 1 when it would be refused', async () => {
    await serve(routes())
    const planned = await cli(['clone', 'web-1', 'web-2', '--force', '--dry-run'], { env: api.env })
    expect(planned).toMatchObject({ exitCode: 0, out: expect.stringContaining('Replaces  node web-2 (1.3 GiB) moves') })
    expect(sent()).toEqual([])
    await api.close()
    const refused = aPlan({ refusal: { code: 'no_space', message: 'Not enough room.' } })
    await serve(routes({ [`POST ${PATH}?dryRun=true`]: { body: { plan: refused } } }))
    expect((await cli(['clone', 'web-1', 'web-2', '--dry-run'], { env: api.env })).exitCode).toBe(1)
  })

  it.each([['--force'], ['--idempotent']])('warns of what %s replaces, and asks nothing', async (flag) => {
    await serve(routes({ [`POST ${PATH}`]: { status: 202, body: { operation: done } } }))
    const { exitCode, err } = await cli(['clone', 'web-1', 'web-2', flag], { env: api.env, terminal: true })
    expect(exitCode).toBe(0)
    expect(err).toContain('! The node web-2 exists already and moves to the trash.')
    expect(sent()).toEqual([{ name: 'web-2', [flag.slice(2)]: true }])
  })

  it('fails when the clone was made and did not start', async () => {
    const error = { code: 'no_capacity', message: 'Not enough room.', hint: 'Stop another.' }
    const operation = { ...done, items: [{ ...done.items[0], state: 'failed', error }] }
    await serve(routes({ [`POST ${PATH}`]: { status: 202, body: { operation } } }))
    const { exitCode, out, err } = await cli(['clone', 'web-1', 'web-2', '--start'], { env: api.env })
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: expect.stringContaining(`Id\t${uuid(2)}`) })
    expect(err).toContain('web-2 was made, but could not be started: Not enough room.')
  })
})

describe('a name that is taken', () => {
  it('fails without a terminal, with the ways out', async () => {
    await serve(routes({ [`POST ${PATH}`]: taken }))
    const { exitCode, err } = await cli(['clone', 'web-1', 'web-2'], { env: api.env })
    expect(exitCode).toBe(1)
    expect(err).toContain('A node named web-2 already exists. · Choose another name, or add --idempotent')
    const silent = await cli(['clone', 'web-1', 'web-2', '--yes'], { env: api.env, terminal: true })
    expect(silent.exitCode).toBe(1)
    expect(sent()).toHaveLength(2)
  })

  const asked = async () => {
    await serve(routes({ [`POST ${PATH}`]: conflict }))
    const run = startCli(['clone', 'web-1', 'web-2'], { env: api.env, terminal: true })
    await until(() => run.err().includes('Give another name'))
    return run
  }

  it('can be replaced on a terminal, when the size and the fate have been shown', async () => {
    const run = await asked()
    run.type('\u001B[B')
    await until(() => run.err().includes('1.3 GiB; moves to the trash'))
    run.type('\r')
    expect((await run.result).exitCode).toBe(0)
    expect(sent()).toEqual([{ name: 'web-2' }, { name: 'web-2', force: true }])
  })

  it('can be another name', async () => {
    const run = await asked()
    run.type('\r')
    await until(() => run.err().includes('web-3'))
    run.type('\r')
    expect((await run.result).exitCode).toBe(0)
    expect(sent()).toEqual([{ name: 'web-2' }, { name: 'web-3' }])
    const keys = api.requests
      .filter(({ line }) => line === `POST ${PATH}`)
      .map(({ headers }) => headers['idempotency-key'])
    expect(new Set(keys).size).toBe(2)
  })

  it('can end it, by choice or by Ctrl-C', async () => {
    const cancelled = await asked()
    cancelled.type('\u001B[A\r')
    expect(await cancelled.result).toMatchObject({ exitCode: 130, out: '' })
    await api.close()
    const interrupted = await asked()
    interrupted.type('\u0003')
    expect((await interrupted.result).exitCode).toBe(130)
    expect(sent()).toHaveLength(1)
  })

  it('asks when it shows only on the way, too', async () => {
    const failed = anOperation({ state: 'failed', error: { code: 'name_taken', message: 'Somebody was faster.' } })
    await serve(routes({ [`POST ${PATH}`]: { status: 202, body: { operation: failed } } }))
    const run = startCli(['clone', 'web-1', 'web-2'], { env: api.env, terminal: true })
    await until(() => run.err().includes('Give another name'))
    run.type('\u0003')
    expect((await run.result).exitCode).toBe(130)
  })
})

describe('a clone on another SandLabX', () => {
  it('sends address and token, from a file or from standard input', async () => {
    folder = await mkdtemp(join(tmpdir(), 'sandlabx-cli-'))
    const file = join(folder, 'token')
    await writeFile(file, 'sbx_over_there\n')
    await serve(routes())
    const argv = ['clone', 'web-1', 'web-2', '--to', 'https://other.lab/']
    const { exitCode, out } = await cli([...argv, '--token-file', file], { env: api.env })
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: 'web-2 is on https://other.lab.\n' })
    await cli([...argv, '--token-file', '-'], { env: api.env, stdin: 'sbx_piped\n' })
    expect(sent()).toEqual([
      { name: 'web-2', to: { url: 'https://other.lab', token: 'sbx_over_there' } },
      { name: 'web-2', to: { url: 'https://other.lab', token: 'sbx_piped' } },
    ])
    expect(JSON.stringify(api.requests.map(({ line }) => line))).not.toContain('sbx_')
  })

  it('asks for the token on a terminal and does not show it; without one it is a usage error', async () => {
    await serve(routes())
    const run = startCli(['clone', 'web-1', 'web-2', '--to', 'other.lab'], { env: api.env, terminal: true })
    await until(() => run.err().includes('API token for other.lab'))
    run.type('sbx_typed\r')
    expect((await run.result).exitCode).toBe(0)
    expect(run.err()).not.toContain('sbx_typed')
    expect(sent()).toEqual([{ name: 'web-2', to: { url: 'http://other.lab', token: 'sbx_typed' } }])
    expect((await cli(['clone', 'web-1', 'web-2', '--to', 'other.lab'], { env: api.env })).exitCode).toBe(2)
  })
})
