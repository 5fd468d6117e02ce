import { afterEach, describe, expect, it } from '@jest/globals'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { aNode, aPlan, aUser, uuid } from '../support/cli-fixtures.js'
import { cli, refusal, startCli, startStubApi, type StubApi, type StubRoutes } from '../support/cli.js'
import { until } from '../support/until.js'

let api: StubApi
const folders: string[] = []

async function serve(routes: StubRoutes): Promise<void> {
  api = await startStubApi(routes)
}

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'sandlabx-cli-'))
  folders.push(made)
  return made
}

afterEach(async () => {
  await api?.close()
  for (const made of folders.splice(0)) await rm(made, { recursive: true, force: true })
})

const two = [aNode(), aNode({ id: uuid(2), name: 'db', status: 'stopped', startedAt: null, accelerator: null })]

describe('sandlabx ls', () => {
  it('prints bare tab-separated lines when piped', async () => {
    await serve({ 'GET /api/nodes': { body: { nodes: two } } })
    const { exitCode, out, err } = await cli(['ls'], { env: api.env })
    expect({ exitCode, err }).toEqual({ exitCode: 0, err: '' })
    expect(out.split('\n')).toEqual([
      `web-1\trunning\tanna\tdebian-12\t2\t512.0 MiB\t10.0 GiB\t${uuid(1)}`,
      `db\tstopped\tanna\tdebian-12\t2\t512.0 MiB\t10.0 GiB\t${uuid(2)}`,
      '',
    ])
    expect(api.requests[0]?.headers.authorization).toBe('Bearer sbx_test')
  })

  it('prints a table with headings on a terminal', async () => {
    await serve({ 'GET /api/nodes': { body: { nodes: two } } })
    const { out } = await cli(['list'], { env: api.env, terminal: true })
    const [head, first] = out.split('\n')
    expect(head).toMatch(/^NAME +STATUS +OWNER +IMAGE +CPUS +MEMORY +DISK +ID$/)
    expect(first).toMatch(/^web-1 +running +anna +debian-12 +2 +512\.0 MiB +10\.0 GiB +0{8}-/)
  })

  it('says what to do when there is none', async () => {
    await serve({ 'GET /api/nodes': { body: { nodes: [] } } })
    expect((await cli(['ls'], { env: api.env, terminal: true })).err).toContain('sandlabx create')
    expect((await cli(['ls'], { env: api.env })).err).toBe('')
  })

  it('answers the body of the API with --json, before or after the verb', async () => {
    await serve({ 'GET /api/nodes': { body: { nodes: two } } })
    for (const argv of [
      ['ls', '--json'],
      ['--json', 'ls'],
    ]) {
      const { out } = await cli(argv, { env: api.env })
      expect(JSON.parse(out)).toEqual({ nodes: two })
    }
  })

  it("lets no control character of a guest's making reach the terminal", async () => {
    const nasty = aNode({ imageTitle: 'x\u001B]0;title\u0007\u001B[2Jy\u009B31m', statusReason: 'a\tb\r\nc' })
    await serve({
      'GET /api/nodes': { body: { nodes: [nasty] } },
      [`GET /api/nodes/${uuid(1)}`]: { body: { node: nasty } },
    })
    const { out } = await cli(['show', 'web-1', '--summary'], { env: api.env })
    expect(out).toContain('Image\tdebian-12 (xy')
    expect(out).toContain('Reason\ta b c\n')
    // oxlint-disable-next-line no-control-regex -- that is what must not be there
    expect(out).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/)
  })
})

describe('which node is meant', () => {
  const same = [aNode(), aNode({ id: uuid(2), ownerLogin: 'bert' })]

  it('is found by id, name, or owner and name', async () => {
    await serve({
      'GET /api/nodes': { body: { nodes: [...same, aNode({ id: uuid(3), name: 'db' })] } },
      [`GET /api/nodes/${uuid(2)}`]: { body: { node: same[1] } },
      [`GET /api/nodes/${uuid(3)}`]: { body: { node: aNode({ id: uuid(3), name: 'db' }) } },
    })
    for (const [name, id] of [
      [uuid(2), uuid(2)],
      ['bert/web-1', uuid(2)],
      ['db', uuid(3)],
    ] as const) {
      const { exitCode, out } = await cli(['show', name, '--summary'], { env: api.env })
      expect({ exitCode, id: out.includes(`Id\t${id}`) }).toEqual({ exitCode: 0, id: true })
    }
  })

  it('is a usage error when a name fits several, naming them', async () => {
    await serve({ 'GET /api/nodes': { body: { nodes: same } } })
    const { exitCode, err } = await cli(['start', 'web-1'], { env: api.env })
    expect(exitCode).toBe(2)
    expect(err).toContain('anna/web-1, bert/web-1')
    expect(api.requests).toHaveLength(1)
  })

  it('fails when there is none', async () => {
    await serve({ 'GET /api/nodes': { body: { nodes: [] } } })
    const { exitCode, err } = await cli(['start', 'web-9'], { env: api.env })
    expect({ exitCode, err }).toEqual({
      exitCode: 1,
      err: 'sandlabx: There is no node "web-9" that you can see. · List them with "sandlabx ls".\n',
    })
  })
})

describe('sandlabx start, stop, restart', () => {
  it('asks for each node and says its status', async () => {
    await serve({
      'GET /api/nodes': { body: { nodes: two } },
      [`POST /api/nodes/${uuid(1)}/restart`]: { body: { node: two[0] } },
      [`POST /api/nodes/${uuid(2)}/start`]: { body: { node: { ...two[1], status: 'running' } } },
      [`POST /api/nodes/${uuid(1)}/stop`]: { body: { node: { ...two[0], status: 'stopped' } } },
    })
    expect((await cli(['start', 'db'], { env: api.env })).err).toContain('db is running')
    expect((await cli(['restart', 'web-1'], { env: api.env })).exitCode).toBe(0)
    const { out } = await cli(['stop', '--now', 'web-1', '--json'], { env: api.env })
    expect(JSON.parse(out)).toMatchObject({ nodes: [{ id: uuid(1), status: 'stopped' }] })
    expect(api.requests.at(-1)).toMatchObject({ line: `POST /api/nodes/${uuid(1)}/stop`, body: { now: true } })
  })

  it('tries all nodes, and fails when one does', async () => {
    await serve({
      'GET /api/nodes': { body: { nodes: two } },
      [`POST /api/nodes/${uuid(1)}/start`]: {
        status: 507,
        body: refusal('no_capacity', 'No room for web-1.', 'Stop one.'),
      },
      [`POST /api/nodes/${uuid(2)}/start`]: { body: { node: two[1] } },
    })
    const { exitCode, err } = await cli(['start', 'web-1', 'db'], { env: api.env })
    expect(exitCode).toBe(1)
    expect(err).toContain('web-1: No room for web-1.')
    expect(err).toContain('db is stopped')
    expect(err).toContain('sandlabx: 1 of 2 nodes could not start. · Stop one.')
  })

  it("shows the server's refusal as what and hint, and exits with its code", async () => {
    await serve({
      'GET /api/nodes': { body: { nodes: two } },
      [`POST /api/nodes/${uuid(2)}/start`]: {
        status: 422,
        body: refusal('node_broken', 'Its overlay is gone.', 'Restore it.'),
      },
    })
    const { exitCode, err } = await cli(['start', 'db'], { env: api.env })
    expect(exitCode).toBe(3)
    expect(err).toContain('sandlabx: Its overlay is gone. · Restore it.\n')
    const json = await cli(['start', 'db', '--json'], { env: api.env })
    expect(JSON.parse(json.err.split('\n').at(-2) ?? '')).toMatchObject({ error: { code: 'node_broken' } })
  })
})

describe('sandlabx create', () => {
  const made = { status: 201, body: { node: aNode(), guestPassword: 'made-up-4711' } }

  it('sends what was asked for and shows the generated password once', async () => {
    const keys = join(await folder(), 'id.pub')
    await writeFile(keys, '# mine\nssh-ed25519 AAAA anna@home\n\nssh-ed25519 BBBB anna@work\n')
    await serve({ 'POST /api/nodes': made, 'GET /api/users': { body: { users: [aUser()] } } })
    const argv = ['create', 'web-1', '--image', 'debian-12', '--cpus', '2', '--memory', '1.5G', '--disk', '20G']
    argv.push('--owner', 'anna', '--internet', '--user', 'root', '--ssh-key', keys, '--start')
    const { exitCode, out } = await cli(argv, { env: api.env })
    expect(exitCode).toBe(0)
    expect(out).toContain('Password\tmade-up-4711 (shown this once)')
    expect(api.requests.at(-1)?.body).toEqual({
      name: 'web-1',
      image: 'debian-12',
      cpus: 2,
      memoryMib: 1536,
      diskBytes: 20 * 1024 ** 3,
      ownerId: uuid(100),
      internet: true,
      guestUser: 'root',
      sshKeys: ['ssh-ed25519 AAAA anna@home', 'ssh-ed25519 BBBB anna@work'],
      start: true,
    })
  })

  it('leaves what was not asked for to the server', async () => {
    await serve({ 'POST /api/nodes': made })
    await cli(['create', 'web-1', '--image', 'tiny', '--memory', '256'], { env: api.env })
    expect(api.requests[0]?.body).toEqual({
      name: 'web-1',
      image: 'tiny',
      memoryMib: 256,
      internet: false,
      sshKeys: [],
      start: false,
    })
  })

  it('takes the password from standard input', async () => {
    await serve({ 'POST /api/nodes': made })
    await cli(['create', 'web-1', '--image', 'tiny', '--password-stdin'], { env: api.env, stdin: 'geheim 1\n' })
    expect(api.requests[0]?.body).toMatchObject({ guestPassword: 'geheim 1' })
  })

  it.each([
    [['create', 'web-1'], "required option '--image <id>'"],
    [['create', '--image', 'tiny'], 'The node needs a name.'],
    [['create', 'x', '--name', 'y', '--image', 'tiny'], 'The name was given twice.'],
    [['create', '--from', 'x.csv', '--count', '2', '--image', 'tiny'], "--count can't be given with --from."],
    [['create', 'x', '--keep-going', '--image', 'tiny'], '--keep-going is for many nodes.'],
    [['clone', 'x'], "missing required argument 'new-name'"],
    [['clone', 'x', 'y', '--to', 'a', '--owner', 'b'], "--owner can't be given with --to."],
    [['clone', 'x', 'y', '--token-file', 'a'], 'which is missing'],
    [['create', 'x', '--image', 'tiny', '--memory', 'lots'], 'Give a size like 512M or 2G.'],
    [['create', 'x', '--image', 'tiny', '--disk', '-1G'], 'Give a size like 10G.'],
    [['create', 'x', '--image', 'tiny', '--cpus', 'two'], 'Give a whole number.'],
    [['create', 'x', '--image', 'tiny', '--password'], 'there is no terminal to ask on'],
    [['create', 'x', '--image', 'tiny', '--ssh-key', '/nonexistent/key.pub'], "can't be read"],
    [['create', 'x', '--image', 'tiny', '--colour', 'red'], "unknown option '--colour'"],
    [['ls', '--idempotency-key', ''], 'An idempotency key is'],
    [['stopp', 'x'], "unknown command 'stopp'"],
    [['start'], "missing required argument 'node'"],
    [['set', 'x'], 'Nothing to change was given'],
    [['delete', 'x'], 'then add --force.'],
  ])('refuses %j as a usage error and asks nobody', async (argv, words) => {
    await serve({})
    const { exitCode, err, out } = await cli(argv, { env: api.env })
    expect({ exitCode, out }).toEqual({ exitCode: 2, out: '' })
    expect(err).toContain(words)
    expect(api.requests).toEqual([])
  })

  it('refuses a private key before it leaves the machine', async () => {
    const key = join(await folder(), 'id')
    await writeFile(key, '-----BEGIN OPENSSH PRIVATE KEY-----\n')
    await serve({})
    const { exitCode, err } = await cli(['create', 'x', '--image', 'tiny', '--ssh-key', key], { env: api.env })
    expect(exitCode).toBe(2)
    expect(err).toContain('holds a private key')
    expect(api.requests).toEqual([])
  })
})

describe('sandlabx rename and set', () => {
  it('changes only what was given', async () => {
    await serve({
      'GET /api/nodes': { body: { nodes: two } },
      [`PATCH /api/nodes/${uuid(2)}`]: { body: { node: aNode({ name: 'data', cpus: 4 }) } },
    })
    const renamed = await cli(['rename', 'db', 'data'], { env: api.env })
    expect(renamed.out).toBe('db is now called data.\n')
    expect(api.requests.at(-1)?.body).toEqual({ name: 'data' })
    await cli(['set', 'db', '--cpus', '4', '--no-internet'], { env: api.env })
    expect(api.requests.at(-1)?.body).toEqual({ cpus: 4, internet: false })
    await cli(['set', 'db', '--memory', '2G', '--internet'], { env: api.env })
    expect(api.requests.at(-1)?.body).toEqual({ memoryMib: 2048, internet: true })
    await cli(['set', 'db', '--agent'], { env: api.env })
    expect(api.requests.at(-1)?.body).toEqual({ agent: true })
    await cli(['set', 'db', '--no-agent'], { env: api.env })
    expect(api.requests.at(-1)?.body).toEqual({ agent: false })
  })
})

describe('sandlabx show', () => {
  it('prints YAML that other commands take, and the facts as its comments', async () => {
    await serve({
      'GET /api/nodes': { body: { nodes: [aNode({ statusReason: 'a\nname: evil' })] } },
      [`GET /api/nodes/${uuid(1)}`]: { body: { node: aNode({ statusReason: 'a\nname: evil' }) } },
      [`GET /api/nodes/${uuid(1)}/config`]: {
        bytes: Buffer.from('name: web-1\narguments:\n  - m: 512M\n'),
        headers: { 'content-type': 'application/yaml' },
      },
    })
    const { exitCode, out } = await cli(['show', 'web-1'], { env: api.env })
    expect(exitCode).toBe(0)
    const lines = out.split('\n')
    expect(lines.filter((line) => !line.startsWith('#'))).toEqual(['name: web-1', 'arguments:', '  - m: 512M', ''])
    expect(lines).toContain('# Reason         a name: evil')
    const json = await cli(['show', 'web-1', '--json'], { env: api.env })
    expect(JSON.parse(json.out)).toMatchObject({ node: { name: 'web-1' } })
  })
})

describe('sandlabx delete', () => {
  const plan = aPlan({
    kind: 'node.delete',
    title: 'Delete db',
    steps: [],
    creates: [],
    space: [],
    files: [{ path: '/overlays/node_x.qcow2', bytes: 1024 ** 2, fate: 'is kept' }],
  })
  const routes: StubRoutes = {
    'GET /api/nodes': { body: { nodes: two } },
    [`DELETE /api/nodes/${uuid(2)}?dryRun=true`]: { body: { plan } },
    [`DELETE /api/nodes/${uuid(2)}?deleteStorage=true&dryRun=true`]: { body: { plan } },
    [`DELETE /api/nodes/${uuid(2)}`]: { status: 204 },
    [`DELETE /api/nodes/${uuid(2)}?deleteStorage=true`]: { status: 204 },
    [`DELETE /api/nodes/${uuid(1)}?deleteStorage=true&keepSnapshots=true&dryRun=true`]: { body: { plan } },
    [`DELETE /api/nodes/${uuid(2)}?deleteStorage=true&keepSnapshots=true&dryRun=true`]: { body: { plan } },
    [`DELETE /api/nodes/${uuid(1)}?deleteStorage=true&keepSnapshots=true`]: { status: 204 },
    [`DELETE /api/nodes/${uuid(2)}?deleteStorage=true&keepSnapshots=true`]: { status: 204 },
  }
  const deletes = () =>
    api.requests.filter(({ line }) => line.startsWith('DELETE') && !line.includes('dryRun')).map(({ line }) => line)

  it('does not ask with --force, keeps the storage unless told, and says how it comes back', async () => {
    await serve(routes)
    const kept = await cli(['delete', 'db', '--force'], { env: api.env })
    expect(kept).toMatchObject({ exitCode: 0, out: 'db is deleted; its storage is kept.\n' })
    expect(kept.err).toContain(`sandlabx storage attach db /overlays/node_${uuid(1)}.qcow2`)
    const gone = await cli(['delete', 'db', '--force', '--delete-storage', '--json'], { env: api.env })
    expect(JSON.parse(gone.out)).toEqual({ deleted: { id: uuid(2), name: 'db' }, plan })
    expect(deletes()).toEqual([`DELETE /api/nodes/${uuid(2)}`, `DELETE /api/nodes/${uuid(2)}?deleteStorage=true`])
  })

  it('deletes several, sparing their snapshots', async () => {
    await serve(routes)
    const argv = ['delete', 'web-1', 'db', '--delete-storage', '--keep-snapshots', '--force']
    const { exitCode, out, err } = await cli(argv, { env: api.env })
    expect({ exitCode, out }).toEqual({
      exitCode: 0,
      out: ['web-1', 'db']
        .map((n) => `${n} is deleted; its disks are in the trash, its snapshots are kept.\n`)
        .join(''),
    })
    expect(err).toContain('sandlabx trash restore web-1')
    expect(deletes()).toHaveLength(2)
  })

  it('refuses a running node before it asks, with the way out', async () => {
    const refused = aPlan({ refusal: { code: 'wrong_status', message: 'db: The node is running. Stop it first.' } })
    await serve({ ...routes, [`DELETE /api/nodes/${uuid(2)}?dryRun=true`]: { body: { plan: refused } } })
    const { exitCode, err } = await cli(['delete', 'db'], { env: api.env, terminal: true })
    expect(exitCode).toBe(1)
    expect(err).toContain('db: The node is running. Stop it first.\n          → sandlabx stop db\n')
    expect(deletes()).toEqual([])
  })

  it('shows the plan and asks on a terminal; Enter alone means no', async () => {
    await serve(routes)
    const run = startCli(['delete', 'db'], { env: api.env, terminal: true, columns: 80 })
    await until(() => run.err().includes('Delete db?'))
    expect(run.err()).toContain('Files     is kept:\n           /overlays/node_x.qcow2  1.0 MiB\n')
    expect(run.err()).toContain('The storage is KEPT: it can be attached again.')
    run.type('\r')
    expect((await run.result).exitCode).toBe(130)
    expect(deletes()).toEqual([])
  })

  it('deletes when the answer is yes, and not on Ctrl-C', async () => {
    await serve(routes)
    const cancelled = startCli(['delete', 'db'], { env: api.env, terminal: true })
    await until(() => cancelled.err().includes('Delete db?'))
    cancelled.type('\u0003')
    expect((await cancelled.result).exitCode).toBe(130)
    const agreed = startCli(['delete', 'db'], { env: api.env, terminal: true })
    await until(() => agreed.err().includes('Delete db?'))
    agreed.type('y')
    expect((await agreed.result).exitCode).toBe(0)
    expect(deletes()).toHaveLength(1)
  })
})

describe('sandlabx events, log, screenshot', () => {
  const at = '2026-11-21T07:42:10.000Z'

  it('prints the history', async () => {
    const events = [{ at, kind: 'crashed', text: 'QEMU was killed', actorLogin: null }]
    await serve({
      'GET /api/nodes': { body: { nodes: two } },
      [`GET /api/nodes/${uuid(1)}/events`]: { body: { events } },
    })
    const { out } = await cli(['events', 'web-1'], { env: api.env })
    expect(out).toMatch(/^2026-11-2\d \d\d:42:10\tcrashed\t\tQEMU was killed\n$/)
  })

  it('passes the serial log on untouched when piped, and without escape sequences on a terminal', async () => {
    const bytes = Buffer.from('\u001B[31mlogin:\u001B[0m ä\r\n')
    const headers = { 'content-type': 'text/plain' }
    await serve({
      'GET /api/nodes': { body: { nodes: two } },
      [`GET /api/nodes/${uuid(1)}/serial-log`]: { bytes, headers },
    })
    expect((await cli(['log', 'web-1'], { env: api.env })).out).toBe(bytes.toString())
    expect((await cli(['log', 'web-1'], { env: api.env, terminal: true })).out).toBe('login: ä\n')
    expect((await cli(['log', 'web-1', '--raw'], { env: api.env, terminal: true })).out).toBe(bytes.toString())
  })

  it('saves the picture', async () => {
    const bytes = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0])
    const file = join(await folder(), 'screen.png')
    await serve({ 'GET /api/nodes': { body: { nodes: two } }, [`GET /api/nodes/${uuid(1)}/screenshot`]: { bytes } })
    const { exitCode, out } = await cli(['screenshot', 'web-1', file, '--json'], { env: api.env })
    expect({ exitCode, answer: JSON.parse(out) as unknown }).toEqual({ exitCode: 0, answer: { file, bytes: 5 } })
    expect(await readFile(file)).toEqual(bytes)
  })
})
