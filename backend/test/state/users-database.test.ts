import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { sql } from 'kysely'
import pg from 'pg'
import { createLog } from '../../src/system/log.js'
import { startPostgres, postgresIdentity } from '../../src/system/postgres.js'
import { createAccounts } from '../../src/users/accounts.js'
import { openDatabase } from '../../src/users/database.js'
import { createSessions } from '../../src/users/sessions.js'
import { FAST, startTestPostgres, type TestPostgres } from '../support/postgres.js'
import { untilSeen } from '../support/until.js'

jest.setTimeout(60_000) // real servers, on a machine that may be busy

const log = createLog('silent')
let server: TestPostgres

beforeAll(async () => {
  server = await startTestPostgres()
})
afterAll(() => server.stop())

const input = { login: 'ada', displayName: '', role: 'student', password: 'correct horse battery' } as const

describe('the database', () => {
  it('brings its schema up to date once, also when ten open it at the same moment', async () => {
    const opened = Array.from({ length: 10 }, () => openDatabase(server.connection, log))
    const versions = await Promise.all(opened.map((database) => database.ping()))
    expect(new Set(versions)).toEqual(new Set([server.server.version]))
    const [first] = opened
    const steps = await sql<{ name: string }>`select name from kysely_migration order by name`.execute(first!.sql)
    expect(steps.rows.map(({ name }) => name)).toEqual(['0001_people', '0002_audit', '0003_console_history'])
    await Promise.all(opened.map((database) => database.close()))
  })

  it('works over a DATABASE_URL as well', async () => {
    const { host, user, password, database: name } = server.connection
    const connectionString = `postgresql://${user}:${String(password)}@/${name}?host=${encodeURIComponent(host ?? '')}`
    const database = openDatabase({ connectionString }, log)
    expect(await database.ping()).toBe(server.server.version)
    await database.close()
  })

  it('refuses a schema of a newer SandLabX and changes nothing', async () => {
    const older = openDatabase(server.connection, log)
    await older.ping()
    await sql`insert into kysely_migration (name, timestamp) values ('9999_future', 'now')`.execute(older.sql)
    const database = openDatabase(server.connection, log)
    await expect(database.ping()).rejects.toMatchObject({ code: 'state_newer' })
    await expect(createAccounts(database).list()).rejects.toMatchObject({ code: 'state_newer' })
    await sql`delete from kysely_migration where name = '9999_future'`.execute(older.sql)
    await expect(createAccounts(database).list()).resolves.toEqual([])
    await Promise.all([older.close(), database.close()])
  })

  it('opens while the server is away, says so with every query, and works by itself when it is back', async () => {
    const own = await startTestPostgres()
    await own.server.stop()
    const database = openDatabase(own.connection, log)
    const accounts = createAccounts(database)
    const sessions = createSessions(database)
    for (const asked of [
      () => database.ping(),
      () => accounts.list(),
      () => accounts.create(input),
      () => accounts.ensureFirstAdministrator(),
      () => sessions.resolveCookie('A'.repeat(43)),
      () => sessions.signIn({ login: 'ada', password: 'x', address: '', userAgent: '' }),
    ]) {
      await expect(asked()).rejects.toMatchObject({ code: 'database_down', hint: expect.any(String) })
    }
    const again = await startPostgres({ layout: own.layout, log, identity: postgresIdentity(), settings: FAST })
    await expect(accounts.create(input)).resolves.toBeDefined()

    await again.stop()
    await expect(accounts.list()).rejects.toMatchObject({ code: 'database_down' })
    const third = await startPostgres({ layout: own.layout, log, identity: postgresIdentity(), settings: FAST })
    await untilSeen('it works again', async () => (await accounts.list().catch(() => [])).length === 1)
    sessions.close()
    await database.close()
    await third.stop()
    await own.stop()
  })

  it('answers database_down in bounded time for an address where nobody is', async () => {
    const database = openDatabase({ host: '127.0.0.1', port: 1, user: 'x', password: 'x' }, log)
    await expect(database.ping()).rejects.toMatchObject({ code: 'database_down' })
    await database.close()
    const wrong = openDatabase({ ...server.connection, password: 'wrong' }, log)
    await expect(wrong.ping()).rejects.toMatchObject({
      code: 'database_down',
      hint: expect.stringContaining('DATABASE_URL'),
    })
    await wrong.close()
  })

  it('survives a connection that is lost in the middle of a transaction', async () => {
    const database = openDatabase(server.connection, log)
    await database.ping()
    const lost = database.sql.transaction().execute(async (transaction) => {
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(transaction)
      await terminate(rows[0]?.pid ?? 0)
      await untilSeen('the server has ended the connection', () => isGone(rows[0]?.pid ?? 0))
      await createAccounts({ ...database, sql: transaction }).list()
    })
    await expect(lost).rejects.toMatchObject({ code: 'database_down' })
    await expect(createAccounts(database).list()).resolves.toEqual([])
    await database.close()
  })

  it('gives up on a server that hangs, and uses it again when it goes on', async () => {
    const database = openDatabase({ ...server.connection, query_timeout: 300, max: 1 }, log)
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(database.sql)
    const pid = rows[0]?.pid ?? 0
    process.kill(pid, 'SIGSTOP')
    try {
      await expect(createAccounts(database).list()).rejects.toMatchObject({ code: 'database_down' })
      // The connection that hangs is not used again: the next query gets another one.
      await expect(createAccounts(database).list()).resolves.toEqual([])
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await database.close()
  })

  it('rolls back what failed half way', async () => {
    const database = openDatabase(server.connection, log)
    const work = database.sql.transaction().execute(async (transaction) => {
      await transaction
        .insertInto('users')
        .values({
          id: '0b0e9a8e-0000-4000-8000-000000000000',
          login: 'half',
          display_name: '',
          role: 'student',
          disabled: false,
          must_change_password: false,
          password_hash: '',
          created_at: new Date(),
          last_sign_in_at: null,
        })
        .execute()
      throw new Error('on purpose')
    })
    await expect(work).rejects.toThrow('on purpose')
    expect(await createAccounts(database).findByLogin('half')).toBeUndefined()
    await database.close()
  })
})

async function administrate<T>(work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ ...server.connection, user: 'postgres', database: 'postgres' })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

const terminate = (pid: number) => administrate((client) => client.query('select pg_terminate_backend($1)', [pid]))
const isGone = (pid: number) =>
  administrate(
    async (client) => (await client.query('select 1 from pg_stat_activity where pid = $1', [pid])).rowCount === 0,
  )
