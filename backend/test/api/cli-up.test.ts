import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { spawn, type ChildProcess } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawn as spawnPty } from 'node-pty'
import { anImage, aNode } from '../support/cli-fixtures.js'
import { cli, startCli, type CliOptions, type CliRun } from '../support/cli.js'
import { compileSources, type CompiledSources } from '../support/compiled-backend.js'
import { until } from '../support/until.js'

let dataDir: string
let serverScript: string
const runs: CliRun[] = []
const children: ChildProcess[] = []

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sandlabx-up-'))
  await mkdir(join(dataDir, 'dist'))
  serverScript = join(dataDir, 'dist/main.js')
  await copyFile(join(import.meta.dirname, '../support/fake-backend.js'), serverScript)
  await writeFile(join(dataDir, 'package.json'), '{"type":"module"}')
})

afterEach(async () => {
  for (const run of runs.splice(0)) {
    run.signal('SIGTERM')
    await run.result
  }
  const left = await backend().catch(() => undefined) // a detached one
  if (left && isAlive(left.pid)) process.kill(left.pid, 'SIGTERM')
  await until(() => !left || !isAlive(left.pid))
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await rm(dataDir, { recursive: true, force: true })
})

function options(env: Record<string, string> = {}, terminal = false): CliOptions {
  return {
    homeDir: dataDir,
    serverScript,
    terminal,
    env: { SANDLABX_PORT: '0', FAKE_IMAGES: 'some', FAKE_IMAGE: JSON.stringify(anImage()), ...env },
  }
}

function up(argv: string[] = [], env: Record<string, string> = {}, terminal = false): CliRun {
  const run = startCli(['up', ...argv], options(env, terminal))
  runs.push(run)
  return run
}

const said = async () => readFile(join(dataDir, 'said'), 'utf8').catch(() => '')
const backend = async () =>
  JSON.parse(await readFile(join(dataDir, 'run/backend.json'), 'utf8')) as { pid: number; url: string }

describe('sandlabx up', () => {
  it('waits until it is ready, says where and with which password, and passes the log on', async () => {
    const run = up()
    await until(() => run.out().includes('something to look at: odd'))
    const { url } = await backend()
    expect(run.out()).toContain(`SandLabX is ready\nAddress   ${url}\nLogin     admin\nPassword  first-password\n`)
    expect(run.out()).toMatch(/\d\d:\d\d:\d\d info +reconciled/)
    expect(run.out()).not.toContain('request')
    expect(run.err()).toContain('Starting the backend\nThe backend is ready\n')
  })

  it('shows the address in a box on a terminal', async () => {
    const run = up([], {}, true)
    await until(() => run.out().includes('Password'))
    expect(run.out()).toMatch(/╭.*SandLabX is ready.*╮/)
    expect(run.out()).toMatch(/│ +Password +first-password +│/)
  })

  it('comes back on a terminal that does not know its width', async () => {
    const ready = await cli(['up', '--detach'], { ...options({}, true), columns: 0 })
    expect(ready).toMatchObject({ exitCode: 0 })
    expect(ready.out).toContain('first-password')
    expect(ready.err).toContain('The backend is ready')
  })

  it('stops the backend once on Ctrl-C, however often it is pressed, and ends well', async () => {
    const run = up()
    await until(() => run.err().includes('Ctrl-C stops'))
    const { pid } = await backend()
    run.signal('SIGINT')
    run.signal('SIGINT')
    expect((await run.result).exitCode).toBe(0)
    expect(await said()).toBe('SIGTERM\n')
    await until(() => !isAlive(pid))
    expect(run.err()).toContain('nodes go on running')
  })

  it('passes port, address and data folder on', async () => {
    const other = join(dataDir, 'elsewhere')
    await mkdir(other)
    const run = up(['--port', '0', '--host', '127.0.0.2', '--data', other, '--json'])
    await until(() => run.out().includes('"url"'))
    expect(JSON.parse(run.out())).toMatchObject({
      url: expect.stringContaining('http://127.0.0.2:'),
      login: 'admin',
      password: 'first-password',
    })
    expect((await stat(join(other, 'run/backend.json'))).isFile()).toBe(true)
  })

  it('keeps the log private and the password out of it', async () => {
    const run = up()
    await until(() => run.err().includes('Ctrl-C stops'))
    const file = join(dataDir, 'run/backend.log')
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    const text = await readFile(file, 'utf8')
    expect(text).toContain('reconciled')
    expect(text).not.toContain('never-in-a-log')
  })

  it('comes back with --detach and leaves it running; a second up finds it', async () => {
    const first = await cli(['up', '--detach'], options())
    expect(first.exitCode).toBe(0)
    const { pid } = await backend()
    expect(isAlive(pid)).toBe(true)
    const again = await cli(['up'], options())
    expect(again).toMatchObject({ exitCode: 0, out: first.out })
    expect(again.err).toContain(`runs already, as process ${pid}`)
    expect((await cli(['ls'], options())).exitCode).toBe(0)
  })

  it('builds tiny first, says where to go, then builds debian-12', async () => {
    const run = up([], { FAKE_IMAGES: 'none' })
    await until(() => run.err().includes('Ctrl-C stops'))
    expect(await said()).toBe('build tiny\nbuild debian-12\n')
    expect(run.err()).toMatch(/Build tiny[^]*Build debian-12/)
  })

  it('builds nothing with --no-images', async () => {
    const run = up(['--no-images'], { FAKE_IMAGES: 'none' })
    await until(() => run.err().includes('Ctrl-C stops'))
    expect(await said()).toBe('')
  })

  it('is of use though no image can be built', async () => {
    const run = up([], { FAKE_IMAGES: 'none', FAKE_BACKEND: 'no-mirror' })
    await until(() => run.err().includes('Ctrl-C stops'))
    expect(run.out()).toContain('SandLabX is ready')
    expect(run.err()).toContain('tiny could not be built: No mirror answers. · Try later.')
    expect(run.err()).toContain('sandlabx image build debian-12')
  })

  it('says so when the backend ends by itself', async () => {
    const run = up()
    await until(() => run.err().includes('Ctrl-C stops'))
    process.kill((await backend()).pid, 'SIGKILL')
    const { exitCode, err } = await run.result
    expect(exitCode).toBe(1)
    expect(err).toContain('has ended by itself (SIGKILL); nodes go on running. · Start it again with "./sandlabx up".')
  })

  it("fails with the backend's own words and exit code when it can't start", async () => {
    const locked = await cli(['up'], options({ FAKE_BACKEND: 'locked' }))
    expect(locked).toMatchObject({ exitCode: 75, out: '' })
    expect(locked.err).toContain('sandlabx: Another backend works on this state. · Stop it first.')
    const crashed = await cli(['up'], options({ FAKE_BACKEND: 'crash' }))
    expect(crashed.exitCode).toBe(1)
    expect(crashed.err).toContain('Error: no such luck')
    expect(crashed.err).toContain('run/backend.log')
  })

  it('shows safe mode and stays up', async () => {
    const run = up([], { FAKE_BACKEND: 'safe-mode' })
    await until(() => run.err().includes('Ctrl-C stops'))
    expect(run.err()).toContain('safe mode: the state is damaged.')
  })

  it('cleans up when it is interrupted while it starts', async () => {
    const run = up()
    await until(() => run.err().includes('Starting the backend'))
    run.signal('SIGINT')
    expect((await run.result).exitCode).toBe(130)
    expect(await stat(join(dataDir, 'run/backend.json')).catch(() => undefined)).toBeUndefined()
  })
})

describe('sandlabx up on a real terminal', () => {
  let sources: CompiledSources

  beforeAll(async () => {
    sources = await compileSources(['cli', 'domain'])
    await copyFile(join(import.meta.dirname, '../support/fake-backend.js'), sources.path('main.js'))
  })
  afterAll(() => sources.remove())

  function upOnTerminal(...argv: string[]) {
    const env = { PATH: process.env['PATH'], NO_COLOR: '1', SANDLABX_DATA: dataDir, ...options().env, HOME: dataDir }
    const pty = spawnPty(process.execPath, [sources.path('cli/main.js'), 'up', ...argv], { env, cols: 100, rows: 30 })
    const seen = { text: '', exitCode: undefined as number | undefined }
    pty.onData((text) => (seen.text += text))
    pty.onExit(({ exitCode }) => (seen.exitCode = exitCode))
    return { pty, seen }
  }

  it('Ctrl-C reaches the backend once, as a request to stop, and the command ends', async () => {
    const { pty, seen } = upOnTerminal()
    await until(
      () => seen.text.includes('Ctrl-C stops'),
      () => seen.text,
    )
    pty.write('\u0003')
    await until(
      () => seen.exitCode !== undefined,
      () => seen.text,
    )
    expect(seen.exitCode).toBe(0)
    expect(await said()).toBe('SIGTERM\n')
  })

  it('ends with --detach, also when what comes after the start fails', async () => {
    const well = upOnTerminal('--detach')
    await until(
      () => well.seen.exitCode !== undefined,
      () => well.seen.text,
    )
    expect(well.seen.exitCode).toBe(0)
    const { pid } = await backend()
    expect(isAlive(pid)).toBe(true)
    process.kill(pid, 'SIGTERM')
    await until(() => !isAlive(pid))
    // Somebody else's folder: the backend could start, but we may not read its credential.
    await rm(join(dataDir, 'state'), { recursive: true })
    await mkdir(join(dataDir, 'state/local-token'), { recursive: true })
    const refused = upOnTerminal('--detach')
    await until(
      () => refused.seen.exitCode !== undefined,
      () => refused.seen.text,
    )
    expect(refused.seen.exitCode).toBe(1)
  })
})

describe('sandlabx down', () => {
  const withNodes = {
    FAKE_NODES: 'web,db,idle',
    FAKE_NODE: JSON.stringify(aNode({ name: 'name' })).replace('"name":"name"', '"name":"NAME"'),
  }

  it('shuts the running nodes down, then the backend', async () => {
    await cli(['up', '--detach'], options(withNodes))
    const { pid } = await backend()
    const { exitCode, out } = await cli(['down'], options())
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: 'SandLabX is stopped; 3 nodes shut down before.\n' })
    expect((await said()).trim().split('\n').toSorted()).toEqual([
      'SIGTERM',
      'stop db now=false',
      'stop idle now=false',
      'stop web now=false',
    ])
    expect((await said()).trim().split('\n').at(-1)).toBe('SIGTERM')
    await until(() => !isAlive(pid)) // it has ended; the shell that started it may not have heard of it yet
  })

  it('asks no guest with --now', async () => {
    await cli(['up', '--detach'], options(withNodes))
    expect((await cli(['down', '--now', '--json'], options())).exitCode).toBe(0)
    expect(await said()).toContain('stop web now=true')
  })

  it('suspends with --suspend, and shuts down what can not be', async () => {
    await cli(['up', '--detach'], options(withNodes))
    const { exitCode, out } = await cli(['down', '--suspend'], options())
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: 'SandLabX is stopped; 3 nodes suspended before.\n' })
    expect(await said()).toContain('suspend web resumeAtStart=true')
    expect(await cli(['down', '--suspend', '--now'], options())).toMatchObject({ exitCode: 2 })

    await cli(['up', '--detach'], options({ ...withNodes, FAKE_BACKEND: 'full' }))
    const { err } = await cli(['down', '--suspend'], options())
    expect(err).toContain('web is shut down instead: There is no room for its memory.')
    expect(await said()).toContain('stop web now=false')
  })

  it('leaves the backend running when a node does not stop', async () => {
    await cli(['up', '--detach'], options({ ...withNodes, FAKE_BACKEND: 'stubborn' }))
    const { pid } = await backend()
    const { exitCode, err } = await cli(['down'], options())
    expect(exitCode).toBe(1)
    expect(err).toContain('web: It does not stop.')
    expect(isAlive(pid)).toBe(true)
    process.kill(pid, 'SIGTERM')
  })

  it('stops a backend that knows nobody as long as no node runs, and leaves it as it is otherwise', async () => {
    await cli(['up', '--detach'], options({ FAKE_BACKEND: 'no-database', FAKE_IMAGES: 'some' }))
    expect(await cli(['down'], options())).toMatchObject({ exitCode: 0 })
    await cli(['up', '--detach'], options({ FAKE_BACKEND: 'no-database' }))
    const { pid } = await backend()
    await pretendNodeRuns()
    const refused = await cli(['down'], options())
    expect(refused.exitCode).toBe(1)
    expect(refused.err).toContain("The nodes that run can't be shut down: Who are you?")
    expect(isAlive(pid)).toBe(true)
    process.kill(pid, 'SIGTERM')
  })

  it('has nothing to do when nothing runs, whatever a killed backend left behind', async () => {
    expect((await cli(['down'], options())).out).toBe('SandLabX is not running.\n')
    const bystander = spawn('sleep', ['60'])
    children.push(bystander)
    await mkdir(join(dataDir, 'run'), { recursive: true })
    // The number of a process that has nothing to do with us.
    await writeFile(
      join(dataDir, 'run/backend.json'),
      JSON.stringify({ pid: bystander.pid, url: 'http://127.0.0.1:1' }),
    )
    expect((await cli(['down'], options())).out).toBe('SandLabX is not running.\n')
    expect(bystander.exitCode ?? bystander.signalCode).toBeNull()
  })

  it('starts a backend for nodes that Ctrl-C left running', async () => {
    await pretendNodeRuns()
    const { exitCode, out } = await cli(['down'], options(withNodes))
    expect({ exitCode, out }).toEqual({ exitCode: 0, out: 'SandLabX is stopped; 3 nodes shut down before.\n' })
  })
})

describe('sandlabx doctor', () => {
  const check = (state: string, title: string) => ({
    id: title,
    title,
    state,
    message: `${title} is ${state}.`,
    hint: state === 'ok' ? null : `Mend ${title}.`,
  })

  it('asks the backend when it runs, shows the worst first, and exits 3 when something failed', async () => {
    const report = {
      live: true,
      ready: true,
      state: 'failed',
      version: '1',
      checks: [check('ok', 'Disk'), check('failed', 'QEMU'), check('warning', 'KVM')],
    }
    await cli(['up', '--detach'], options({ FAKE_HEALTH: JSON.stringify(report) }))
    const piped = await cli(['doctor'], options())
    expect(piped).toMatchObject({ exitCode: 3, err: '' })
    expect(piped.out).toBe(
      'failed\tQEMU\tQEMU is failed.\tMend QEMU.\nwarning\tKVM\tKVM is warning.\tMend KVM.\nok\tDisk\tDisk is ok.\t\n',
    )
    const json = await cli(['doctor', '--json'], options())
    expect(json.exitCode).toBe(3)
    expect((JSON.parse(json.out) as typeof report).checks[0]?.title).toBe('QEMU')
    const shown = await cli(['doctor'], options({}, true))
    expect(shown.out).toContain('✗ QEMU  QEMU is failed.\n  → Mend QEMU.\n! KVM')
  })

  it('adds what can be seen from here when the backend does not know its own administrator', async () => {
    const report = { live: true, ready: true, state: 'failed', version: '1' }
    const run = await cli(['up', '--detach'], options({ FAKE_HEALTH: JSON.stringify(report) }))
    expect(run.err).toContain('Something has failed; see "sandlabx doctor".')
    const { exitCode, out } = await cli(['doctor'], options())
    expect(exitCode).toBe(3)
    expect(out).toContain('failed\tBackend\tIt runs, but does not know its administrators')
    expect(out).toContain('ok\tNode.js\t')
  })

  it('exits 0 with warnings only', async () => {
    const report = { live: true, ready: true, state: 'warning', version: '1', checks: [check('warning', 'KVM')] }
    await cli(['up', '--detach'], options({ FAKE_HEALTH: JSON.stringify(report) }))
    expect((await cli(['doctor'], options())).exitCode).toBe(0)
  })

  it('looks for itself when no backend runs', async () => {
    const { out } = await cli(['doctor', '--json'], options({ PATH: '/nonexistent' }))
    const report = JSON.parse(out) as { ready: boolean; checks: { id: string; state: string; hint: string | null }[] }
    expect(report.ready).toBe(false)
    const found = Object.fromEntries(report.checks.map(({ id, state }) => [id, state]))
    expect(found).toMatchObject({ backend: 'warning', node: 'ok', folders: 'ok' })
    expect(Object.keys(found).toSorted()).toEqual(['backend', 'disk', 'folders', 'memory', 'node', 'postgres', 'tools'])
  })

  it('names the packages that are missing and exits 3', async () => {
    const { exitCode, out } = await cli(['doctor'], options({ PATH: '/nonexistent' }))
    expect(exitCode).toBe(3)
    expect(out).toMatch(/^failed\tPrograms\tDebian packages are missing: .*qemu-system-x86/m)
  })
})

/** A process that looks like a node's QEMU; here only its command line counts. */
async function pretendNodeRuns(): Promise<void> {
  const qemu = spawn('bash', ['-c', 'exec -a qemu-system-x86_64 sleep 60'])
  children.push(qemu)
  await mkdir(join(dataDir, 'run/0123456789ab'), { recursive: true })
  await writeFile(join(dataDir, 'run/0123456789ab/pid'), `${qemu.pid}\n`)
  await until(async () => (await readFile(`/proc/${qemu.pid}/cmdline`, 'utf8')).includes('qemu'))
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
