import { afterEach, describe, expect, it } from '@jest/globals'
import type { Operation } from '../../src/domain/operation.js'
import { anOperation, uuid } from '../support/cli-fixtures.js'
import { cli, refusal, startCli, startStubApi, type StubApi, type StubRoutes } from '../support/cli.js'
import { until } from '../support/until.js'

let api: StubApi
const serve = async (routes: StubRoutes) => void (api = await startStubApi(routes))
afterEach(() => api?.close())

const id = uuid(50)
const line = `GET /api/operations/${id}`
const cancelLine = `POST /api/operations/${id}/cancel`
const committed = anOperation({
  kind: 'node.clone',
  title: 'Clone web to web-2',
  state: 'succeeded',
  outcome: 'committed',
  progress: 1,
  startedAt: '2026-11-21T07:42:10.000Z',
  endedAt: '2026-11-21T07:42:14.500Z',
  log: [
    { at: '2026-11-21T07:42:10.000Z', text: 'Copying the disk' },
    { at: '2026-11-21T07:42:14.000Z', text: 'Writing the records' },
  ],
  resources: [
    { type: 'disk', id: '/overlays/.staging/a/disk.qcow2', finalPath: '/overlays/node_a.qcow2' },
    { type: 'layer', id: 'layer-1' },
  ],
  items: [{ name: 'web-2', id: uuid(2), state: 'succeeded', error: null }],
  request: { key: 'monday', hash: 'h' },
})

describe('sandlabx operations', () => {
  it('lists them, whole ids when piped and typable ones on a terminal', async () => {
    await serve({
      'GET /api/operations?limit=50': { body: { operations: [anOperation(), committed] } },
      'GET /api/operations?limit=5&state=failed&kind=node.clone': { body: { operations: [] } },
    })
    const { out } = await cli(['operations', 'ls'], { env: api.env })
    expect(out.split('\n')[0]).toMatch(/^Build Debian 12\trunning\t42 %\tanna\t2026-11-2\d \d\d:42:10\t\t0{8}-/)
    expect(out.split('\n')[1]).toMatch(/\tsucceeded\t100 %\tanna\t.*\t4\.5 s\t0{8}-/)
    expect((await cli(['operations', 'ls'], { env: api.env, terminal: true })).out).toMatch(/ {2}00000000\n/)
    const argv = ['operations', 'ls', '--limit', '5', '--state', 'failed', '--kind', 'node.clone']
    expect(await cli(argv, { env: api.env })).toMatchObject({ exitCode: 0, out: '' })
  })

  it('shows the log of a transaction: status, times, resources, and how long each step took', async () => {
    await serve({ [line]: { body: { operation: committed } } })
    const { out } = await cli(['operations', 'show', id], { env: api.env })
    const rows = out.split('\n').map((row) => row.replace(/\d{4}-\d\d-\d\d \d\d:/, 'HH:'))
    for (const row of [
      `Transaction\t${id}`,
      'Kind\tnode.clone',
      'Started\tHH:42:10',
      'Completed\tHH:42:14 (4.5 s)',
      'Status\tcommitted',
      'Key\tmonday',
      'Resources\tdisk /overlays/.staging/a/disk.qcow2 → /overlays/node_a.qcow2',
      'Resources\tlayer layer-1',
      `Nodes\tweb-2 succeeded ${uuid(2)}`,
      'Steps\tHH:42:10 +4.0 s Copying the disk',
      'Steps\tHH:42:14 +0.5 s Writing the records',
    ]) {
      expect(rows).toContain(row)
    }
  })

  it('shows what was taken back, and why', async () => {
    const error = { code: 'no_space', message: 'The disk is full.', hint: 'Free some.' }
    const failed = anOperation({ ...committed, state: 'failed', outcome: 'rolled-back', error })
    await serve({ [line]: { body: { operation: failed } } })
    const { out } = await cli(['operations', 'show', id], { env: api.env, terminal: true })
    expect(out).toMatch(/^Status +rolled back \(failed\)$/m)
    expect(out).toMatch(/^Error +The disk is full\.\n +→ Free some\.$/m)
  })

  it("answers with the fields of the seed's log, too, with --json", async () => {
    await serve({ [line]: { body: { operation: committed } } })
    const { out } = await cli(['operations', 'show', id, '--json'], { env: api.env })
    expect(JSON.parse(out)).toEqual({
      operation: committed,
      transaction: {
        transaction_id: id,
        operation_type: 'node.clone',
        started_at: committed.startedAt,
        completed_at: committed.endedAt,
        status: 'committed',
        resources: [
          {
            resource_type: 'disk',
            resource_id: '/overlays/.staging/a/disk.qcow2',
            metadata: { final_path: '/overlays/node_a.qcow2' },
          },
          { resource_type: 'layer', resource_id: 'layer-1', metadata: {} },
        ],
        steps: [
          { at: '2026-11-21T07:42:10.000Z', text: 'Copying the disk', seconds: 4 },
          { at: '2026-11-21T07:42:14.000Z', text: 'Writing the records', seconds: 0.5 },
        ],
      },
    })
  })

  it('takes the beginning of an id where it is the only one', async () => {
    const other = anOperation({ id: `abcd${uuid(1).slice(4)}` })
    await serve({
      'GET /api/operations?limit=1000': { body: { operations: [anOperation(), other, anOperation({ id: uuid(51) })] } },
      [`POST /api/operations/${other.id}/cancel`]: { body: { operation: other } },
    })
    expect((await cli(['operations', 'cancel', 'ABCD'], { env: api.env })).out).toBe(
      '"Build Debian 12" is being ended.\n',
    )
    expect(await cli(['operations', 'cancel', '0000'], { env: api.env })).toMatchObject({
      exitCode: 2,
      err: expect.stringContaining('2 operations begin with "0000"'),
    })
    expect((await cli(['operations', 'show', 'ffff'], { env: api.env })).exitCode).toBe(1)
  })
})

describe('following an operation', () => {
  const copying = (changes: object = {}) =>
    anOperation({ title: 'Clone web', step: 'Copying the disk', progress: 0.25, ...changes })
  const GIB = 1024 ** 3

  it('draws a bar with bytes, rate and time left', async () => {
    let bytes = GIB
    await serve({
      [line]: () => {
        bytes += GIB / 16
        return {
          body: { operation: copying({ bytesDone: bytes, bytesTotal: 16 * GIB, progress: bytes / (16 * GIB) }) },
        }
      },
    })
    const run = startCli(['operations', 'show', id, '--follow'], { env: api.env, terminal: true, columns: 140 })
    await until(() => run.err().includes('left'))
    run.signal('SIGTERM')
    expect((await run.result).exitCode).toBe(130)
    expect(run.err()).toMatch(
      / Clone web · Copying the disk {2}━+─+ {2}\d+ % {2}[12]\.\d GiB of 16\.0 GiB {2}\d+\.\d MiB\/s {2}(\d+ s|\d+ min) left/,
    )
  })

  it('counts the nodes of a bulk operation, and those that failed', async () => {
    const states = ['succeeded', 'failed', 'running', 'waiting']
    const items = states.map((state, n) => ({ name: `web-${n}`, id: null, state, error: null }))
    await serve({ [line]: { body: { operation: copying({ items, progress: null }) } } })
    const run = startCli(['operations', 'show', id, '--follow'], { env: api.env, terminal: true })
    await until(() => /50 % {2}2 of 4 {2}1 failed/.test(run.err()))
    run.signal('SIGTERM')
    await run.result
  })

  const interrupted = async (operation: Operation, more: StubRoutes = {}) => {
    await serve({ [line]: { body: { operation } }, ...more })
    const run = startCli(['operations', 'show', id, '--follow'], { env: api.env, terminal: true })
    await until(() => api.requests.length > 1)
    run.signal('SIGINT')
    await until(() => run.err().includes('Leave it running'))
    return run
  }

  it('asks on Ctrl-C, and leaves it running', async () => {
    const run = await interrupted(copying())
    expect(run.err()).toContain('Clone web is still running.')
    run.type('\u001B[A\r')
    const { exitCode, err } = await run.result
    expect(exitCode).toBe(130)
    expect(err).toContain('"Clone web" goes on without you.')
    expect(err).toContain(`sandlabx operations cancel ${id.slice(0, 8)}`)
    expect(api.requests.some((request) => request.line === cancelLine)).toBe(false)
  })

  it('leaves it running on a second Ctrl-C', async () => {
    const run = await interrupted(copying())
    run.type('\u0003')
    expect(await run.result).toMatchObject({ exitCode: 130, err: expect.stringContaining('goes on without you') })
  })

  it('goes on watching', async () => {
    let state = 'running'
    const run = await interrupted(copying(), { [line]: () => ({ body: { operation: copying({ state }) } }) })
    run.type('\r')
    state = 'succeeded'
    expect(await run.result).toMatchObject({ exitCode: 0, err: expect.stringContaining('✓ Clone web') })
  })

  it('cancels it, and follows that to its end', async () => {
    let state = 'running'
    const run = await interrupted(copying(), {
      [line]: () => ({ body: { operation: copying({ state }) } }),
      [cancelLine]: () => {
        state = 'cancelled'
        return { body: { operation: copying() } }
      },
    })
    run.type('\u001B[B\r')
    expect(await run.result).toMatchObject({
      exitCode: 130,
      err: expect.stringContaining('"Clone web" was cancelled.'),
    })
  })

  it('offers no cancelling where there is none', async () => {
    const run = await interrupted(copying({ cancellable: false }))
    expect(run.err()).not.toContain('Cancel it')
    run.type('\u0003')
    await run.result
  })

  it('leaves it running without asking when nobody can answer', async () => {
    await serve({ [line]: { body: { operation: copying() } } })
    const run = startCli(['operations', 'show', id, '--follow'], { env: api.env })
    await until(() => api.requests.length > 1)
    run.signal('SIGINT')
    expect(await run.result).toMatchObject({ exitCode: 130, err: expect.stringContaining('goes on without you') })
  })

  it('waits while SandLabX starts again', async () => {
    const answers = [
      { body: { operation: copying() } },
      { status: 503, body: refusal('starting_up', 'SandLabX is starting.') },
      { status: 503, body: refusal('starting_up', 'SandLabX is starting.') },
      { body: { operation: copying({ state: 'succeeded' }) } },
    ]
    await serve({ [line]: () => answers.shift() ?? { status: 500 } })
    const { exitCode, err } = await cli(['operations', 'show', id, '--follow'], { env: api.env })
    expect({ exitCode, err }).toMatchObject({ exitCode: 0, err: expect.stringContaining('waiting for SandLabX') })
  })

  it('says of one that a restart took back that trying again is safe', async () => {
    const lost = copying({ state: 'lost', outcome: 'rolled-back' })
    await serve({ [line]: { body: { operation: lost } } })
    const { exitCode, err } = await cli(['operations', 'show', id, '--follow'], { env: api.env })
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' }) // it had ended: only shown
    await api.close()
    const answers = [copying(), lost]
    await serve({ [line]: () => ({ body: { operation: answers.shift() ?? lost } }) })
    const followed = await cli(['operations', 'show', id, '--follow'], { env: api.env })
    expect(followed).toMatchObject({
      exitCode: 1,
      err: expect.stringContaining('All of it was taken back: try again.'),
    })
  })
})
