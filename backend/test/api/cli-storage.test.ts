import { afterEach, describe, expect, it } from '@jest/globals'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { aNode, anOperation, anOrphan, aPlan, aUser, aVerifyReport, uuid } from '../support/cli-fixtures.js'
import {
  cli,
  refusal,
  startCli,
  startStubApi,
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

const operation = (kind: string, title: string) => anOperation({ kind, title, state: 'succeeded', target: null })
const sent = (line: string) => api.requests.filter((request) => request.line === line)

describe('sandlabx storage orphaned', () => {
  it('lists each file with its size, its age and who had it, and the total', async () => {
    const orphans = [
      anOrphan(),
      anOrphan({
        path: '/overlays/lost.img',
        formerly: null,
        backing: { path: '/images/gone.qcow2', present: false },
        fault: 'Its base image is missing.',
      }),
    ]
    await serve({ 'GET /api/storage/orphans': { body: { orphans, totalBytes: 10 * 1024 ** 3 } } })
    const { exitCode, out, err } = await cli(['storage', 'orphaned'], { env: api.env, terminal: true, columns: 80 })
    expect(exitCode).toBe(0)
    expect(out).toContain('Found 2 orphaned storage files:')
    expect(out).toContain(`  /overlays/node_${uuid(9)}.qcow2 (5.0 GiB)\n`)
    expect(out).toContain('formerly old of anna')
    expect(out).toMatch(/gone.qcow2, which is\s+missing/)
    expect(out).toContain('! Its base image is missing.')
    expect(out).toMatch(/\nTotal: 10\.0 GiB\n$/)
    expect(err).toContain('sandlabx storage attach NAME PATH')
    for (const line of `${out}${err}`.split('\n')) expect(line.length).toBeLessThanOrEqual(80)
  })

  it("says the seed's sentence when there is none, also to a script", async () => {
    await serve({ 'GET /api/storage/orphans': { body: { orphans: [], totalBytes: 0 } } })
    expect(await cli(['storage', 'orphaned'], { env: api.env })).toEqual({
      exitCode: 0,
      out: 'No orphaned storage found\n',
      err: '',
    })
    const { out } = await cli(['storage', 'orphaned', '--json'], { env: api.env })
    expect(JSON.parse(out)).toEqual({ orphans: [], totalBytes: 0 })
  })
})

describe('sandlabx storage attach', () => {
  const line = 'POST /api/storage/attach'
  const done = operation('node.attach', 'Attach old.qcow2 as web')
  const missing = refusal('base_missing', 'The base image debian-11 is missing.', 'Give --rebase-to.', {
    candidates: [{ id: 'debian-12', title: 'Debian 12' }],
  })

  it('sends the path and the YAML, and says how to start the node', async () => {
    folder = await mkdtemp(join(tmpdir(), 'sandlabx-cli-'))
    const file = join(folder, 'web.yaml')
    await writeFile(file, 'name: web\n')
    await serve({
      [line]: { status: 202, body: { operation: done } },
      'GET /api/users': { body: { users: [aUser()] } },
    })
    const argv = ['storage', 'attach', 'web', '/overlays/old.qcow2', '--vm-config', file, '--owner', 'anna']
    const { exitCode, out, err } = await cli(argv, { env: api.env })
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: 'The storage is attached to web.\n' })
    expect(err).toContain('sandlabx start web')
    expect(sent(line)[0]?.body).toEqual({
      path: '/overlays/old.qcow2',
      name: 'web',
      config: 'name: web\n',
      ownerId: uuid(100),
    })
    expect(sent(line)[0]?.headers['idempotency-key']).toBeTruthy()
  })

  it('refuses an absent or huge file before it asks the server', async () => {
    folder = await mkdtemp(join(tmpdir(), 'sandlabx-cli-'))
    const huge = join(folder, 'huge.yaml')
    await writeFile(huge, 'a'.repeat(70_000))
    await serve({})
    for (const [file, words] of [
      [huge, 'at most 64 KiB'],
      [join(folder, 'none.yaml'), "can't be read"],
    ] as const) {
      const { exitCode, err } = await cli(['storage', 'attach', 'web', '/x', '--vm-config', file], { env: api.env })
      expect({ exitCode, says: err.includes(words) }).toEqual({ exitCode: 2, says: true })
    }
    expect(api.requests).toEqual([])
  })

  it('offers the images that may be the missing base, on a terminal only', async () => {
    const answer = ({ body }: StubRequest) =>
      (body as { rebaseTo?: string }).rebaseTo === undefined
        ? { status: 422, body: missing }
        : { status: 202, body: { operation: done } }
    await serve({ [line]: answer })
    const piped = await cli(['storage', 'attach', 'web', '/overlays/old.qcow2'], { env: api.env })
    expect(piped).toMatchObject({ exitCode: 3, err: expect.stringContaining('debian-11 is missing') })
    const run = startCli(['storage', 'attach', 'web', '/overlays/old.qcow2'], { env: api.env, terminal: true })
    await until(() => run.err().includes('Stand on debian-12'))
    run.type('\r')
    expect((await run.result).exitCode).toBe(0)
    expect(sent(line).at(-1)?.body).toMatchObject({ rebaseTo: 'debian-12' })
  })
})

describe('sandlabx storage discard', () => {
  const line = 'POST /api/storage/discard'
  const plan = aPlan({ kind: 'storage.discard', title: 'Discard old.qcow2', creates: [], space: [] })

  it('asks on a terminal, needs --force elsewhere, and says how to undo', async () => {
    await serve({
      [line]: { status: 202, body: { operation: operation('storage.discard', 'Discard old.qcow2') } },
      [`${line}?dryRun=true`]: { body: { plan } },
    })
    const refused = await cli(['storage', 'discard', '/overlays/old.qcow2'], { env: api.env })
    expect(refused).toMatchObject({ exitCode: 2, err: expect.stringContaining('--force') })
    expect(api.requests).toEqual([])
    const { exitCode, err } = await cli(['storage', 'discard', '/overlays/old.qcow2', '--force'], { env: api.env })
    expect({ exitCode, undo: err.includes(`sandlabx undo ${uuid(50).slice(0, 8)}`) }).toEqual({
      exitCode: 0,
      undo: true,
    })
    expect(sent(line)[0]?.body).toEqual({ path: '/overlays/old.qcow2' })
  })
})

describe('sandlabx storage verify', () => {
  const done = operation('storage.verify', 'Verify web-1')
  const report = aVerifyReport()
  const well = aVerifyReport({
    ok: true,
    subjects: [{ ...report.subjects[0], ok: true, findings: report.subjects[0]?.findings.filter(({ ok }) => ok) }],
  })
  const routes = (answered: unknown): StubRoutes => ({
    'GET /api/nodes': { body: { nodes: [aNode()] } },
    'POST /api/storage/verify': { status: 202, body: { operation: done } },
    [`GET /api/storage/reports/${uuid(50)}`]: { body: { report: answered } },
  })

  it('prints a line for each file, with what is wrong and what mends it, and exits 3', async () => {
    await serve(routes(report))
    const { exitCode, out, err } = await cli(['storage', 'verify', 'web-1', '--level', 'full'], { env: api.env })
    expect({ exitCode, out }).toEqual({
      exitCode: 3,
      out: [
        "Checking storage for node 'web-1'...",
        '  ✓ /overlays/node_1.qcow2 (exists, chain whole)',
        '  ✗ /overlays/drive_1.qcow2 (MISSING)',
        '      → Make it again, empty, with 10 GiB.',
        '',
        'ERROR: Some storage files are missing',
        '',
      ].join('\n'),
    })
    expect(err).toContain('sandlabx storage repair web-1')
    expect(sent('POST /api/storage/verify')[0]?.body).toEqual({ nodeId: uuid(1), level: 'full' })
  })

  it('exits 0 when all is well, and is brief about all of it', async () => {
    await serve(routes(well))
    const one = await cli(['storage', 'verify', 'web-1'], { env: api.env })
    expect(one.out).toMatch(/qcow2 \(exists, chain whole\)\n\nAll storage verified\n$/)
    const all = await cli(['storage', 'verify', '--all'], { env: api.env })
    expect(all).toMatchObject({ exitCode: 0, out: "✓ node 'web-1': 1 file\n\nAll storage verified\n" })
    expect(sent('POST /api/storage/verify').at(-1)?.body).toEqual({ level: 'chain' })
  })

  it('answers the report in JSON, with the same exit code', async () => {
    await serve(routes(report))
    const { exitCode, out } = await cli(['storage', 'verify', '--all', '--json'], { env: api.env })
    expect({ exitCode, answer: JSON.parse(out) }).toEqual({ exitCode: 3, answer: { report } })
  })

  it('takes no other level', async () => {
    await serve({})
    const { exitCode, err } = await cli(['storage', 'verify', '--level', 'deep'], { env: api.env })
    expect({ exitCode, says: err.includes('files, chain, full') }).toEqual({ exitCode: 2, says: true })
  })
})

describe('sandlabx storage repair', () => {
  const line = 'POST /api/storage/repair'
  const plan = aPlan({ kind: 'storage.repair', title: 'Make drive_1.qcow2 again', creates: [], space: [] })
  const routes: StubRoutes = {
    'GET /api/nodes': { body: { nodes: [aNode()] } },
    'POST /api/storage/verify': { status: 202, body: { operation: operation('storage.verify', 'Verify web-1') } },
    [`GET /api/storage/reports/${uuid(50)}`]: { body: { report: aVerifyReport() } },
    [`${line}?dryRun=true`]: { body: { plan } },
    [line]: { status: 202, body: { operation: operation('storage.repair', 'Make drive_1.qcow2 again') } },
  }
  const chosen = { nodeId: uuid(1), repair: 'recreate-drive', path: '/overlays/drive_1.qcow2' }

  it('offers on a terminal what the report offers, shows its plan and asks', async () => {
    await serve(routes)
    const run = startCli(['storage', 'repair', 'web-1'], { env: api.env, terminal: true })
    await until(() => run.err().includes('1. Make it again, empty, with 10 GiB.'))
    run.type('\r')
    await until(() => run.err().includes('Do it?'))
    run.type('y')
    expect((await run.result).exitCode).toBe(0)
    expect(sent(line)[0]?.body).toEqual(chosen)
  })

  it('says the commands without a terminal, and takes one of them', async () => {
    await serve(routes)
    const { exitCode, err } = await cli(['storage', 'repair', 'web-1'], { env: api.env })
    const command = 'sandlabx storage repair web-1 --repair recreate-drive --path /overlays/drive_1.qcow2'
    expect({ exitCode, says: err.includes(command) }).toEqual({ exitCode: 3, says: true })
    const argv = [...command.split(' ').slice(1), '--force']
    expect(await cli(argv, { env: api.env })).toMatchObject({ exitCode: 0 })
    expect(sent(line)[0]?.body).toEqual(chosen)
  })
})

describe('sandlabx storage space', () => {
  it('shows how full it is and what takes the room, the largest first', async () => {
    const GIB = 1024 ** 3
    const node = (n: number, usedBytes: number) => ({
      id: uuid(n),
      name: `web-${n}`,
      ownerLogin: 'anna',
      usedBytes,
      drivesBytes: 0,
      virtualBytes: 10 * GIB,
    })
    const space = {
      at: '2026-11-21T07:42:10.000Z',
      fileSystems: [{ path: '/overlays', totalBytes: 100 * GIB, freeBytes: 25 * GIB, reservedBytes: GIB }],
      nodes: [node(1, GIB), node(2, 3 * GIB)],
      images: [{ id: 'tiny', title: 'Tiny', usedBytes: GIB, nodes: 2 }],
      snapshots: [],
      trashBytes: 2 * GIB,
      orphanBytes: 0,
      stagingBytes: 0,
      recordingsBytes: 0,
      overcommit: 1.5,
    }
    await serve({ 'GET /api/storage/space': { body: { space } } })
    const { out } = await cli(['storage', 'space'], { env: api.env })
    expect(out).toContain('25.0 GiB free of 100.0 GiB, 1.0 GiB of it reserved')
    expect(out.indexOf('web-2 of anna')).toBeLessThan(out.indexOf('web-1 of anna'))
    expect(out).toContain('the trash')
    expect(out).not.toContain('orphaned')
    expect(out).toContain('1.5 times the room')
  })
})

describe('sandlabx add', () => {
  it('makes a node from YAML on standard input and shows it', async () => {
    const line = 'POST /api/nodes/from-config'
    const made = {
      ...operation('node.create', 'Create web-1'),
      items: [{ name: 'web-1', id: uuid(1), state: 'succeeded', error: null }],
    }
    await serve({
      [line]: { status: 202, body: { operation: made } },
      'GET /api/nodes': { body: { nodes: [aNode()] } },
      [`GET /api/operations/${uuid(50)}/passwords`]: { body: { passwords: [] } },
    })
    const { exitCode, out } = await cli(['add', '-', '--name', 'web-1', '--start'], {
      env: api.env,
      stdin: 'arguments: []\n',
    })
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: expect.stringContaining(`Id\t${uuid(1)}`) })
    expect(sent(line)[0]?.body).toEqual({ config: 'arguments: []\n', name: 'web-1', start: true })
  })
})
