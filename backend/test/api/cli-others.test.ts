import { afterEach, describe, expect, it } from '@jest/globals'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { anImage, anOperation, aPlan, aUser, uuid } from '../support/cli-fixtures.js'
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

const operationLine = `GET /api/operations/${uuid(50)}`

describe('sandlabx image', () => {
  const catalog = {
    images: [anImage({ usedBy: [{ id: uuid(1), name: 'web-1' }] })],
    recipes: [{ id: 'tiny', title: 'Tiny', description: '', buildSeconds: 15 }],
    catalog: [
      {
        id: 'cirros',
        title: 'CirrOS',
        description: '',
        version: '0.6',
        url: 'https://images.example/cirros.img',
        checksum: { algorithm: 'sha256', value: 'a'.repeat(64), url: null },
        sizeBytes: 21 * 1024 ** 2,
        compression: 'none',
        firmware: 'bios',
        cloudInit: true,
        loginNotes: '',
        minimumMemoryMib: 64,
      },
    ],
  }

  it('lists what is here and what can be had', async () => {
    await serve({ 'GET /api/images': { body: catalog } })
    const { out } = await cli(['image', 'ls'], { env: api.env })
    expect(out).toBe('tiny\tTiny\t1\t64.0 MiB\t9.0 MiB\tbios\tbuilt\t1\n')
    const all = await cli(['image', 'catalog'], { env: api.env })
    expect(all.out).toBe('tiny\tTiny\tbuild\tabout 15.0 s\there\ncirros\tCirrOS\tpull\t21.0 MiB\t\n')
  })

  it('follows a build to its end, a line per step', async () => {
    const steps = [
      anOperation(),
      anOperation({ progress: 0.43 }),
      anOperation({ step: 'packing', progress: null }),
      anOperation({ state: 'succeeded', step: '', progress: 1 }),
    ]
    await serve({
      'POST /api/images/build': { status: 202, body: { operation: steps[0] } },
      [operationLine]: () => ({ body: { operation: steps.length > 1 ? steps.shift() : steps[0] } }),
    })
    const { exitCode, err, out } = await cli(['image', 'build', 'debian-12'], { env: api.env })
    expect(exitCode).toBe(0)
    expect(out).toBe('')
    expect(err.split('\n').slice(0, 4)).toEqual([
      'Build Debian 12',
      'Build Debian 12 · installing packages',
      'Build Debian 12 · packing',
      'Build Debian 12',
    ])
    expect(api.requests[0]?.body).toEqual({ recipe: 'debian-12' })
  })

  it("fails with the operation's own error and exit code", async () => {
    const error = { code: 'checksum_mismatch', message: 'The download is not what was published.', hint: 'Try later.' }
    await serve({
      'POST /api/images/pull': { status: 202, body: { operation: anOperation() } },
      [operationLine]: { body: { operation: anOperation({ state: 'failed', error }) } },
    })
    const { exitCode, err } = await cli(['image', 'pull', 'cirros'], { env: api.env })
    expect(exitCode).toBe(1)
    expect(err).toContain('sandlabx: The download is not what was published. · Try later.')
  })

  it('does not wait with --no-wait', async () => {
    await serve({ 'POST /api/images/build': { status: 202, body: { operation: anOperation() } } })
    const { out } = await cli(['image', 'build', 'debian-12', '--no-wait', '--json'], { env: api.env })
    expect(JSON.parse(out)).toMatchObject({ operation: { id: uuid(50), state: 'running' } })
    expect(api.requests).toHaveLength(1)
  })

  it('uploads in pieces, resumes where the server stands, and imports', async () => {
    const file = join(await folder(), 'My Disk.qcow2')
    const bytes = Buffer.alloc(9 * 1024 ** 2, 'sandlabx')
    await writeFile(file, bytes)
    let received = Buffer.alloc(0)
    let breaks = 1
    await serve({
      'POST /api/uploads': { status: 201, headers: { location: 'http://inside:8080/api/uploads/up1' } },
      'PATCH /api/uploads/up1': (request) => {
        if (request.headers['upload-offset'] !== String(received.length)) return { status: 409 }
        received = Buffer.concat([received, request.body as Buffer])
        // The answer is lost once: the piece arrived, and the client must find that out.
        if (received.length > 8 * 1024 ** 2 && breaks-- > 0) return { status: 204, headers: { 'content-length': 'x' } }
        return { status: 204, headers: { 'upload-offset': String(received.length) } }
      },
      'HEAD /api/uploads/up1': () => ({ headers: { 'upload-offset': String(received.length) } }),
      'POST /api/images/import-upload': { status: 202, body: { operation: anOperation({ state: 'succeeded' }) } },
    })
    const { exitCode, err } = await cli(['image', 'import', file, '--firmware', 'uefi', '--memory', '1G'], {
      env: api.env,
    })
    expect({ exitCode, err }).toMatchObject({ exitCode: 0 })
    expect(api.requests.map((request) => request.line)).toContain('HEAD /api/uploads/up1')
    expect(createHash('sha256').update(received).digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'))
    expect(api.requests[0]?.headers).toMatchObject({ 'tus-resumable': '1.0.0', 'upload-length': String(bytes.length) })
    expect(api.requests.at(-1)?.body).toEqual({
      uploadId: 'up1',
      id: 'my-disk',
      firmware: 'uefi',
      minimumMemoryMib: 1024,
    })
  })

  it('plans instead of doing it with --dry-run', async () => {
    const plan = aPlan({ kind: 'image.build', title: 'Build Tiny', creates: [{ type: 'image', name: 'tiny' }] })
    await serve({
      'POST /api/images/build?dryRun=true': { body: { plan } },
      'POST /api/images/pull?dryRun=true': { body: { plan } },
      'DELETE /api/images/tiny?dryRun=true': { body: { plan } },
    })
    for (const argv of [
      ['build', 'tiny'],
      ['pull', 'tiny'],
      ['rm', 'tiny'],
    ]) {
      const { exitCode, out } = await cli(['image', ...argv, '--dry-run'], { env: api.env })
      expect({ exitCode, out }).toMatchObject({ exitCode: 0, out: expect.stringContaining('Creates   image tiny') })
    }
    const upload = await cli(['image', 'import', '/nowhere.qcow2', '--dry-run'], { env: api.env })
    expect(upload).toMatchObject({ exitCode: 2, err: expect.stringContaining('that it can read itself') })
    expect(api.requests).toHaveLength(3)
  })

  it('deletes, and passes on why not', async () => {
    const body = refusal('image_in_use', 'The image tiny is used by web-1.')
    await serve({ 'DELETE /api/images/tiny': { status: 409, body }, 'DELETE /api/images/old': { status: 204 } })
    expect(await cli(['image', 'rm', 'tiny'], { env: api.env })).toMatchObject({
      exitCode: 1,
      err: 'sandlabx: The image tiny is used by web-1.\n',
    })
    expect((await cli(['image', 'rm', 'old'], { env: api.env })).out).toBe('The image old is deleted.\n')
  })
})

describe('sandlabx user', () => {
  it('lists, adds, changes, disables, enables and resets', async () => {
    const bert = aUser({ id: uuid(101), login: 'bert', displayName: '' })
    await serve({
      'GET /api/users': { body: { users: [aUser(), bert] } },
      'POST /api/users': { status: 201, body: { user: bert, password: 'horse-battery' } },
      [`PATCH /api/users/${uuid(101)}`]: { body: { user: bert } },
      [`POST /api/users/${uuid(101)}/reset-password`]: { body: { user: bert, password: 'staple-9' } },
    })
    const run = (...argv: string[]) => cli(['user', ...argv], { env: api.env })
    expect((await run('ls')).out).toBe(
      `anna\tAnna\tstudent\tenabled\t\t${uuid(100)}\nbert\t\tstudent\tenabled\t\t${uuid(101)}\n`,
    )
    expect((await run('add', 'bert', '--role', 'instructor', '--name', 'Bert')).out).toContain(
      'Password\thorse-battery',
    )
    expect(api.requests.at(-1)?.body).toEqual({ login: 'bert', role: 'instructor', displayName: 'Bert' })
    expect((await run('role', 'bert', 'administrator')).out).toBe('bert is now administrator.\n')
    expect(api.requests.at(-1)?.body).toEqual({ role: 'administrator' })
    expect((await run('disable', 'bert')).out).toBe('bert is disabled.\n')
    expect(api.requests.at(-1)?.body).toEqual({ disabled: true })
    expect((await run('enable', 'bert')).out).toBe('bert is enabled.\n')
    expect((await run('reset-password', 'bert')).out).toContain('Password\tstaple-9')
    expect(await run('role', 'bert', 'boss')).toMatchObject({ exitCode: 2 })
    expect(await run('disable', 'carl')).toMatchObject({ exitCode: 1 })
  })
})

describe('sandlabx token', () => {
  const record = { id: uuid(7), name: 'ci', createdAt: '2026-11-21T07:42:10.000Z', lastUsedAt: null }

  it('prints a new token alone, so that it can be piped', async () => {
    await serve({ 'POST /api/session/tokens': { status: 201, body: { token: 'sbx_abc', record } } })
    const { out, err } = await cli(['token', 'create', 'ci'], { env: api.env })
    expect(out).toBe('sbx_abc\n')
    expect(err).toContain('shown this once')
  })

  it('lists and revokes by name', async () => {
    await serve({
      'GET /api/session/tokens': { body: { tokens: [record] } },
      [`DELETE /api/session/tokens/${uuid(7)}`]: { status: 204 },
    })
    expect((await cli(['token', 'ls'], { env: api.env })).out).toContain(`ci\t2026-11-`)
    expect((await cli(['token', 'revoke', 'ci'], { env: api.env })).out).toBe('The token ci is revoked.\n')
    expect((await cli(['token', 'revoke', 'no'], { env: api.env })).exitCode).toBe(1)
  })
})

describe('sandlabx audit and state', () => {
  it('asks with the filters that were given', async () => {
    const entry = {
      id: '9',
      at: '2026-11-21T07:42:10.000Z',
      actorId: null,
      actorLogin: 'anna',
      action: 'node.start',
      objectType: 'node',
      objectId: uuid(1),
      objectName: 'web-1',
      address: '10.0.0.9',
      result: 'failure',
      code: 'no_capacity',
      requestId: null,
      details: {},
    }
    const line = 'GET /api/audit?limit=5&actor=anna&action=node.start'
    await serve({ [line]: { body: { entries: [entry], next: '9' } } })
    const { out, err } = await cli(['audit', '--limit', '5', '--actor', 'anna', '--action', 'node.start'], {
      env: api.env,
    })
    expect(out).toMatch(/\tanna\tnode\.start\tweb-1\tfailure \(no_capacity\)\t10\.0\.0\.9\n$/)
    expect(err).toBe('Older: --before 9\n')
  })

  it('rebuilds the state in safe mode', async () => {
    await serve({ 'POST /api/system/rebuild': { body: { nodes: 3, images: 1 } } })
    expect((await cli(['state', 'rebuild'], { env: api.env })).out).toBe('The state is rebuilt: 3 nodes, 1 images.\n')
  })
})

describe('signing in', () => {
  const record = { id: uuid(7), name: 'x', createdAt: '2026-11-21T07:42:10.000Z', lastUsedAt: null }
  const cookie = { 'set-cookie': 'sandlabx_session=s1; HttpOnly; Path=/' }

  function session(user = aUser()): StubRoutes {
    return {
      'POST /api/session': { body: { user }, headers: cookie },
      'POST /api/session/tokens': { status: 201, body: { token: 'sbx_kept', record } },
      'DELETE /api/session': { status: 204 },
      'PUT /api/session/password': { body: { user } },
      'GET /api/session': { body: { user } },
      [`DELETE /api/session/tokens/${uuid(7)}`]: { status: 204 },
    }
  }

  it('keeps a token that only its owner can read, uses it, and revokes it', async () => {
    await serve(session())
    const env = { XDG_CONFIG_HOME: await folder() }
    const address = api.url.replace('http://', '')
    const argv = ['login', address, '--login', 'anna', '--password-stdin']
    expect(await cli(argv, { env, stdin: 'secret password\n' })).toMatchObject({ exitCode: 0 })
    expect(api.requests[0]?.body).toEqual({ login: 'anna', password: 'secret password' })
    expect(api.requests[1]?.headers).toMatchObject({ cookie: 'sandlabx_session=s1', 'x-requested-with': 'sandlabx' })
    expect(api.requests.at(-1)?.line).toBe('DELETE /api/session')

    const file = join(env.XDG_CONFIG_HOME, 'sandlabx/config.json')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ url: api.url, token: 'sbx_kept', login: 'anna' })

    expect((await cli(['whoami'], { env })).out).toContain('By\tsandlabx login')
    expect(api.requests.at(-1)?.headers.authorization).toBe('Bearer sbx_kept')
    expect((await cli(['logout'], { env })).exitCode).toBe(0)
    expect(api.requests.at(-1)?.line).toBe(`DELETE /api/session/tokens/${uuid(7)}`)
    expect((await cli(['whoami'], { env })).exitCode).toBe(1)
  })

  it('asks on a terminal, and has a first password changed', async () => {
    await serve(session(aUser({ mustChangePassword: true })))
    const run = startCli(['login', api.url], { env: { XDG_CONFIG_HOME: await folder() }, terminal: true })
    for (const [question, answer] of [
      ['Login', 'anna'],
      ['Password', 'given to me'],
      ['New password', 'my own password'],
      ['The same again', 'my own password'],
    ] as const) {
      await until(() => run.err().includes(question))
      run.type(`${answer}\r`)
    }
    expect((await run.result).exitCode).toBe(0)
    const change = api.requests.find((request) => request.line.startsWith('PUT'))
    expect(change?.body).toEqual({ currentPassword: 'given to me', newPassword: 'my own password' })
    expect(run.err()).not.toContain('my own password')
  })

  it('fails on a wrong password and keeps nothing', async () => {
    await serve({ 'POST /api/session': { status: 401, body: refusal('bad_credentials', 'Wrong login or password.') } })
    const env = { XDG_CONFIG_HOME: await folder() }
    const { exitCode, err } = await cli(['login', api.url, '--login', 'a', '--password-stdin'], { env, stdin: 'x\n' })
    expect({ exitCode, err }).toEqual({ exitCode: 1, err: 'sandlabx: Wrong login or password.\n' })
    await expect(stat(join(env.XDG_CONFIG_HOME, 'sandlabx'))).rejects.toThrow('ENOENT')
  })

  it('needs a web address', async () => {
    await serve({})
    expect((await cli(['login', 'ftp://lab', '--login', 'a'], {})).exitCode).toBe(2)
  })
})

describe('whom to ask', () => {
  it('says how to sign in where there is no token', async () => {
    await serve({})
    const { exitCode, err } = await cli(['ls'], { env: { SANDLABX_URL: api.url } })
    expect(exitCode).toBe(1)
    expect(err).toContain(`sandlabx login ${api.url}`)
  })

  it('says how to start it where nobody answers', async () => {
    await serve({})
    await api.close()
    const { exitCode, err } = await cli(['ls'], { env: api.env })
    expect(exitCode).toBe(1)
    expect(err).toContain('SandLabX does not answer')
    expect((await cli(['ls'], {})).err).toContain('./sandlabx up')
  })

  it('does not print a page of something else', async () => {
    await serve({
      'GET /api/nodes': { bytes: Buffer.from('<html>'), headers: { 'content-type': 'text/html' } },
      'GET /api/session': { status: 502, bytes: Buffer.from('<html>Bad gateway') },
    })
    expect((await cli(['ls'], { env: api.env })).err).toContain('Is this a SandLabX server')
    const broken = await cli(['whoami'], { env: api.env })
    expect(broken).toMatchObject({ exitCode: 1 })
    expect(broken.err).toContain('The server answered 502')
  })

  it('refuses a damaged config file and says what to do', async () => {
    await serve({})
    const base = await folder()
    const env = { XDG_CONFIG_HOME: base }
    const { mkdir } = await import('node:fs/promises')
    await mkdir(join(base, 'sandlabx'))
    await writeFile(join(base, 'sandlabx/config.json'), '{"url":')
    const { exitCode, err } = await cli(['ls'], { env })
    expect(exitCode).toBe(78)
    expect(err).toContain('is damaged')
  })
})

describe('help', () => {
  it('is an answer and no failure', async () => {
    const { exitCode, out } = await cli(['--help'])
    expect(exitCode).toBe(0)
    for (const name of ['up', 'down', 'doctor', 'ls', 'create', 'console', 'image', 'user', 'token', 'audit']) {
      expect(out).toMatch(new RegExp(`^  ${name}\\b`, 'm'))
    }
    expect((await cli(['--version'])).out).toBe('0.0.0-test\n')
    expect((await cli([])).exitCode).toBe(2)
    expect((await cli(['image'])).exitCode).toBe(2)
  })
})
