import { afterEach, describe, expect, it } from '@jest/globals'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { aNode, anOperation, aPlan, aUser, uuid } from '../support/cli-fixtures.js'
import { cli, refusal, startStubApi, type StubApi, type StubRoutes } from '../support/cli.js'

let api: StubApi
const folders: string[] = []

async function serve(routes: StubRoutes): Promise<void> {
  api = await startStubApi(routes)
}

async function listFile(text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sandlabx-cli-'))
  folders.push(folder)
  await writeFile(join(folder, 'class.csv'), text)
  return join(folder, 'class.csv')
}

afterEach(async () => {
  await api?.close()
  for (const made of folders.splice(0)) await rm(made, { recursive: true, force: true })
})

const item = (n: number, changes: object = {}) => ({
  name: `web-${n}`,
  id: uuid(n),
  state: 'succeeded',
  error: null,
  ...changes,
})
const nodes = [aNode(), aNode({ id: uuid(2), name: 'web-2', status: 'stopped', ownerLogin: 'bert', guestUser: 'bert' })]
const passwords = [
  { name: 'web-1', id: uuid(1), login: 'anna', guestUser: 'anna', guestPassword: 'aaaa-1111-aaaa' },
  { name: 'web-2', id: uuid(2), login: 'bert', guestUser: 'bert', guestPassword: 'bbbb-2222-bbbb' },
]
const done = (changes: object = {}) =>
  anOperation({
    kind: 'node.create',
    title: 'Create 2 nodes',
    state: 'succeeded',
    items: [item(1), item(2)],
    ...changes,
  })

function batch(end = done()): StubRoutes {
  return {
    'POST /api/nodes/batch': { status: 202, body: { operation: { ...end, state: 'running', error: null } } },
    [`GET /api/operations/${uuid(50)}`]: { body: { operation: end } },
    [`GET /api/operations/${uuid(50)}/passwords`]: { body: { passwords } },
    'GET /api/nodes': { body: { nodes } },
    'GET /api/users': { body: { users: [aUser(), aUser({ id: uuid(101), login: 'bert' })] } },
  }
}

describe('sandlabx create for many', () => {
  it('makes as many as asked, and shows each with its password', async () => {
    await serve(batch())
    const argv = ['create', '--count', '2', '--name', 'web-{n}', '--image', 'tiny', '--start']
    const { exitCode, out, err } = await cli(argv, { env: api.env })
    expect(exitCode).toBe(0)
    expect(out).toBe(
      `web-1\trunning\tanna\tanna\taaaa-1111-aaaa\t${uuid(1)}\nweb-2\tstopped\tbert\tbert\tbbbb-2222-bbbb\t${uuid(2)}\n`,
    )
    expect(err).toContain('The passwords are shown this once.')
    expect(api.requests[0]?.body).toEqual({
      template: { image: 'tiny', internet: false, sshKeys: [], start: true },
      count: 2,
      name: 'web-{n}',
      keepGoing: false,
    })
  })

  it('answers operation, nodes and passwords with --json', async () => {
    await serve(batch())
    const { out } = await cli(['create', 'web-{n}', '--count', '2', '--image', 'tiny', '--json'], { env: api.env })
    expect(JSON.parse(out)).toMatchObject({ operation: { id: uuid(50) }, nodes, passwords })
  })

  it('makes a node for each line of a list, of the same name for each owner', async () => {
    const file = await listFile('owner,user\nanna,\nbert,root\n')
    await serve(batch())
    const argv = ['create', '--from', file, '--name', 'web', '--image', 'tiny', '--keep-going']
    expect((await cli(argv, { env: api.env })).exitCode).toBe(0)
    expect(api.requests.find(({ line }) => line.startsWith('POST'))?.body).toMatchObject({
      keepGoing: true,
      nodes: [
        { name: 'web', ownerId: uuid(100) },
        { name: 'web', ownerId: uuid(101), guestUser: 'root' },
      ],
    })
  })

  it.each([
    ['name,owner\nweb,carl\n', 'Line 2: there is no person "carl".'],
    ['owner\nanna\n', 'Line 2 has no name.'],
    ['name;colour\nweb;red\n', 'has a column "colour"'],
    ['name\nweb,anna\n', 'Line 2 has 2 fields, the heading 1.'],
    ['name\n', 'has no rows'],
    ['name\nWeb One\n', '"Web One" is no name for a node.'],
  ])('refuses the list %j and makes nothing', async (text, words) => {
    const file = await listFile(text)
    await serve(batch())
    const { exitCode, err } = await cli(['create', '--from', file, '--image', 'tiny'], { env: api.env })
    expect({ exitCode, err }).toEqual({ exitCode: 2, err: expect.stringContaining(words) })
    expect(api.requests.filter(({ line }) => line.startsWith('POST'))).toEqual([])
  })

  it('fails when some could not be made, and shows those that were', async () => {
    const error = { code: 'name_taken', message: 'A node named web-2 already exists.', hint: 'Choose another.' }
    const failed = item(2, { id: null, state: 'failed', error })
    const whole = { code: 'name_taken', message: '1 of 2 nodes could be made.' }
    await serve(batch(done({ state: 'failed', items: [item(1), failed], error: whole })))
    const argv = ['create', 'web-{n}', '--count', '2', '--image', 'tiny', '--keep-going']
    const { exitCode, out, err } = await cli(argv, { env: api.env })
    expect(exitCode).toBe(1)
    expect(out).toBe(`web-1\trunning\tanna\tanna\taaaa-1111-aaaa\t${uuid(1)}\nweb-2\tfailed\t\t\t\t\n`)
    expect(err).toContain('web-2: A node named web-2 already exists. · Choose another.')
    expect(err).toContain('sandlabx: 1 of 2 nodes could be made.')
  })

  it('fails when one was made and did not start', async () => {
    const error = { code: 'no_capacity', message: 'Not enough room to start web-2.', hint: 'Stop another.' }
    await serve(batch(done({ items: [item(1), item(2, { state: 'failed', error })] })))
    const { exitCode, out, err } = await cli(['create', 'web-{n}', '--count', '2', '--image', 'tiny'], { env: api.env })
    expect(exitCode).toBe(1)
    expect(out).toContain('web-2\tstopped')
    expect(err).toContain('1 of 2 nodes could not be started: Not enough room to start web-2. · Stop another.')
  })

  it('shows nothing as made when all was taken back', async () => {
    const items = [item(1, { state: 'undone' }), item(2, { state: 'failed' })]
    const error = { code: 'no_space', message: 'The disk is full.' }
    await serve(batch(done({ state: 'failed', outcome: 'rolled-back', items, error })))
    const { exitCode, out, err } = await cli(['create', 'web-{n}', '--count', '2', '--image', 'tiny'], { env: api.env })
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: '' })
    expect(err).toContain('The disk is full.')
  })

  it('says that a single one was made and did not start', async () => {
    const startError = { code: 'no_capacity', message: 'Not enough room.', hint: 'Stop another.' }
    await serve({ 'POST /api/nodes': { status: 201, body: { node: nodes[1], guestPassword: 'x', startError } } })
    const { exitCode, out, err } = await cli(['create', 'web-2', '--image', 'tiny', '--start'], { env: api.env })
    expect({ exitCode, out }).toEqual({ exitCode: 1, out: expect.stringContaining('Password\tx') })
    expect(err).toContain('web-2 was made, but could not be started: Not enough room. · Stop another.')
  })
})

describe('--dry-run', () => {
  const creates = Array.from({ length: 30 }, (_, n) => ({ type: 'node', name: `web-${n + 1}` }))

  it('prints steps, what is made and the room that it takes', async () => {
    const plan = aPlan({ kind: 'node.create', title: 'Create 30 nodes', creates })
    await serve({ 'POST /api/nodes/batch?dryRun=true': { body: { plan } } })
    const { exitCode, out } = await cli(['create', 'web-{n}', '--count', '30', '--image', 'tiny', '--dry-run'], {
      env: api.env,
    })
    expect(exitCode).toBe(0)
    expect(out.split('\n')).toEqual([
      'Create 30 nodes',
      'Steps     1. Make empty disks over what the source stands on',
      '          2. Record the node',
      'Creates   30 nodes: web-1, web-2 … web-30',
      'Space     52.5 GiB required in /overlays, a margin of 15 % included',
      '          60.0 GiB available',
      'This was a dry run: nothing was changed.',
      '',
    ])
    expect(api.requests[0]?.headers['idempotency-key']).toBeUndefined()
  })

  it('says what would be replaced, how much must be freed and why it would be refused, and exits 1', async () => {
    const plan = aPlan({
      space: [{ ...aPlan().space[0], availableBytes: 45 * 1024 ** 3, freeUpBytes: 7.5 * 1024 ** 3 }],
      replaces: [{ type: 'node', id: uuid(2), name: 'web-2', bytes: 1.25 * 1024 ** 3, fate: 'moves to the trash' }],
      warnings: ['The source runs.'],
      refusal: { code: 'node_broken', message: 'Its disk is gone.', hint: 'Bring it back.' },
    })
    await serve({ 'POST /api/nodes?dryRun=true': { body: { plan } } })
    const { exitCode, out, err } = await cli(['create', 'web-2', '--image', 'tiny', '--dry-run'], { env: api.env })
    expect({ exitCode, err }).toEqual({ exitCode: 1, err: '' })
    for (const line of [
      'Replaces  node web-2 (1.3 GiB) moves to the trash',
      '          45.0 GiB available',
      '          7.5 GiB to free first',
      'Warning   The source runs.',
      'Refused   Its disk is gone.',
      '          → Bring it back.',
      'It would be refused. Nothing was changed.',
    ]) {
      expect(out.split('\n')).toContain(line)
    }
    const json = await cli(['create', 'web-2', '--image', 'tiny', '--dry-run', '--json'], { env: api.env })
    expect({ exitCode: json.exitCode, answer: JSON.parse(json.out) }).toEqual({ exitCode: 1, answer: { plan } })
  })

  it('of a delete asks nothing and deletes nothing', async () => {
    const plan = aPlan({ kind: 'node.delete', title: 'Delete web-1', creates: [] })
    await serve({
      'GET /api/nodes': { body: { nodes } },
      [`DELETE /api/nodes/${uuid(1)}?deleteStorage=true&dryRun=true`]: { body: { plan } },
    })
    const argv = ['delete', 'web-1', '--delete-storage', '--dry-run']
    expect((await cli(argv, { env: api.env })).out).toMatch(/^Delete web-1\n/)
    expect((await cli(argv, { env: api.env, terminal: true })).err).toBe('')
  })

  it('passes a refusal of the question itself on', async () => {
    await serve({ 'POST /api/nodes?dryRun=true': { status: 400, body: refusal('bad_request', 'name: too long') } })
    expect(await cli(['create', 'x', '--image', 'tiny', '--dry-run'], { env: api.env })).toMatchObject({
      exitCode: 2,
      err: 'sandlabx: name: too long\n',
    })
  })
})
