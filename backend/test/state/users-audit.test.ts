import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { sql } from 'kysely'
import { appendFile, readFile, rm, stat } from 'node:fs/promises'
import { auditSpoolFile } from '../../src/domain/layout.js'
import { createLog } from '../../src/system/log.js'
import { postgresIdentity, startPostgres, type ManagedPostgres } from '../../src/system/postgres.js'
import { createAudit, type Audit, type AuditOptions } from '../../src/users/audit.js'
import type { NewAuditEntry } from '../../src/users/audit-rows.js'
import { openDatabase, type Database } from '../../src/users/database.js'
import { FAST, removeLayout, temporaryLayout } from '../support/postgres.js'
import { untilSeen } from '../support/until.js'

jest.setTimeout(60_000) // real servers, on a machine that may be busy

const log = createLog('silent')
const layout = await temporaryLayout()
const spoolFile = auditSpoolFile(layout)
let server: ManagedPostgres
let database: Database
const opened: Audit[] = []

async function startServer(): Promise<void> {
  server = await startPostgres({ layout, log, identity: postgresIdentity(), settings: FAST })
}

beforeAll(async () => {
  await startServer()
  database = openDatabase(server.connection, log)
})
afterAll(async () => {
  await database.close()
  await server.stop()
  await removeLayout(layout)
})
afterEach(async () => {
  for (const audit of opened.splice(0)) await audit.close()
  await rm(spoolFile, { force: true })
})
beforeEach(async () => {
  // A test starts with an empty log; only a superuser who switches the guard off can make one.
  await database.ping()
  const owner = openDatabase({ ...server.connection, user: 'postgres' }, log)
  await sql`alter table audit disable trigger all`.execute(owner.sql)
  await sql`truncate audit restart identity`.execute(owner.sql)
  await sql`alter table audit enable trigger all`.execute(owner.sql)
  await owner.close()
})

function newAudit(options: AuditOptions = {}): Audit {
  const audit = createAudit(database, log, { spoolFile, retryMs: 50, ...options })
  opened.push(audit)
  return audit
}

function entry(more: Partial<NewAuditEntry> = {}): NewAuditEntry {
  return {
    actorId: null,
    actorLogin: 'ada',
    action: 'node.start',
    objectType: 'node',
    objectId: 'n1',
    objectName: 'web',
    address: '192.0.2.1',
    result: 'success',
    code: null,
    requestId: 'r1',
    details: {},
    ...more,
  }
}

const named = (count: number, prefix = 'e') => Array.from({ length: count }, (_, index) => `${prefix}${index}`)
const requestIds = async (audit: Audit) =>
  (await audit.list({ limit: 500 })).entries.map(({ requestId }) => requestId).toReversed()

describe('the audit log', () => {
  it('keeps every field and answers newest first', async () => {
    const audit = newAudit({ now: () => new Date('2026-11-21T08:00:00Z') })
    const full = entry({ actorId: 'u1', result: 'failure', code: 'busy', details: { from: 1, to: [2, 'ü'] } })
    await audit.append(full)
    await audit.append(entry({ at: '2026-11-20T08:00:00.000Z' }))
    const { entries, next } = await audit.list()
    expect(next).toBeNull()
    expect(entries).toEqual([
      { ...entry(), id: '2', at: '2026-11-20T08:00:00.000Z' },
      { ...full, id: '1', at: '2026-11-21T08:00:00.000Z' },
    ])
  })

  it('can be read page by page without a gap or a repetition while it grows', async () => {
    const audit = newAudit()
    await Promise.all(named(25).map((requestId) => audit.append(entry({ requestId }))))
    const read: (string | null)[] = []
    let before: string | undefined
    do {
      const page = await audit.list({ limit: 10, before })
      read.push(...page.entries.map(({ requestId }) => requestId))
      await audit.append(entry({ requestId: 'newer' }))
      before = page.next ?? undefined
    } while (before !== undefined)
    expect(read).toEqual(named(25).toReversed())
  })

  it('can be searched by actor, action, its beginning, and object', async () => {
    const audit = newAudit()
    await audit.append(entry({ actorId: 'u1', action: 'node.start', objectId: 'n1' }))
    await audit.append(entry({ actorLogin: 'bob', action: 'node.stop', objectId: 'n2' }))
    await audit.append(entry({ actorLogin: 'bob', action: 'nodes', objectId: '%' }))
    const count = async (filter: Parameters<Audit['list']>[0]) => (await audit.list(filter)).entries.length
    expect(await count({ actor: 'u1' })).toBe(1)
    expect(await count({ actor: 'bob' })).toBe(2)
    expect(await count({ action: 'node' })).toBe(2)
    expect(await count({ action: 'node.stop' })).toBe(1)
    expect(await count({ action: '%' })).toBe(0)
    expect(await count({ objectId: 'n2', actor: 'bob' })).toBe(1)
    expect(await count({ objectId: 'a\0b' })).toBe(0)
    for (const before of ['x', '-1', '1e9', '9'.repeat(30)]) {
      await expect(audit.list({ before })).rejects.toMatchObject({ code: 'bad_request' })
    }
  })

  it('can be neither changed nor emptied through our own connection', async () => {
    const audit = newAudit()
    await audit.append(entry())
    for (const attempt of [
      sql`update audit set actor_login = 'nobody'`,
      sql`delete from audit`,
      sql`truncate audit`,
      sql`insert into audit select * from audit on conflict (key) do update set actor_login = 'x'`,
    ]) {
      await expect(attempt.execute(database.sql)).rejects.toThrow(/append-only|generated always|non-DEFAULT/)
    }
    expect((await audit.list()).entries).toMatchObject([{ actorLogin: 'ada' }])
  })

  it('keeps an entry whatever texts it has', async () => {
    const audit = newAudit()
    await audit.append(
      entry({ objectName: '../\0\n\u{D800}', details: { 'a\0': '\u{DFFF}\0', deep: { list: ['\0'] } } }),
    )
    expect((await audit.list()).entries).toMatchObject([
      {
        objectName: '../\u{FFFD}\n\u{FFFD}',
        details: { 'a\u{FFFD}': '\u{FFFD}\u{FFFD}', deep: { list: ['\u{FFFD}'] } },
      },
    ])
  })

  it('keeps the order of five hundred calls at one moment', async () => {
    const audit = newAudit()
    await Promise.all(named(500).map((requestId) => audit.append(entry({ requestId }))))
    expect(await requestIds(audit)).toEqual(named(500))
  })
})

describe('the audit log while the database is away', () => {
  it('spools what happens, durably, and writes all of it once and in order when it is back', async () => {
    const audit = newAudit()
    await audit.append(entry({ requestId: 'before' }))
    await server.stop()
    await Promise.all(named(30, 'away').map((requestId) => audit.append(entry({ requestId }))))
    expect(audit.waiting()).toEqual({ spooled: 30, lost: 0 })
    expect((await readFile(spoolFile, 'utf8')).trim().split('\n')).toHaveLength(30)
    expect((await stat(spoolFile)).mode & 0o777).toBe(0o600)
    await expect(audit.list()).rejects.toMatchObject({ code: 'database_down' })

    const restarting = startServer()
    const during = named(50, 'during').map((requestId) => audit.append(entry({ requestId })))
    await Promise.all([restarting, ...during])
    await untilSeen('the spool is empty', async () => audit.waiting().spooled === 0)
    await audit.append(entry({ requestId: 'after' }))
    expect(await requestIds(audit)).toEqual(['before', ...named(30, 'away'), ...named(50, 'during'), 'after'])
    await expect(stat(spoolFile)).rejects.toMatchObject({ code: 'ENOENT' })
  })

  it('hands the spool to the next backend, which writes it once, also when it was written half already', async () => {
    const first = newAudit()
    await server.stop()
    for (const requestId of named(5)) await first.append(entry({ requestId }))
    await first.close()
    const spooled = await readFile(spoolFile, 'utf8')
    await startServer()

    const second = newAudit()
    await untilSeen('written', async () => (await requestIds(second)).length === 5)
    await second.close()
    // As if the backend had been killed after the commit and before the file was removed; and a torn last line.
    await appendFile(spoolFile, `${spooled}{"key":"torn`)
    const third = newAudit()
    await untilSeen(
      'emptied',
      async () =>
        await stat(spoolFile).then(
          () => false,
          () => true,
        ),
    )
    expect(await requestIds(third)).toEqual(named(5))
  })

  it('is bounded: keeps the first, and says afterwards how many had no room', async () => {
    const audit = newAudit({ maxSpooled: 10 })
    await server.stop()
    for (const requestId of named(14)) await audit.append(entry({ requestId }))
    expect(audit.waiting()).toEqual({ spooled: 10, lost: 4 })
    await startServer()
    await untilSeen('written', async () => audit.waiting().spooled === 0 && audit.waiting().lost === 0)
    const { entries } = await audit.list()
    expect(entries[0]).toMatchObject({ action: 'audit.lost', result: 'failure', details: { entries: 4 } })
    expect(entries.slice(1).map(({ requestId }) => requestId)).toEqual(named(10).toReversed())
  })

  it('goes on in memory when the spool can not be written, and never rejects', async () => {
    const audit = newAudit({ spoolFile: '/proc/no-such-folder/spool' })
    await audit.append(entry({ requestId: 'fine' }))
    await server.stop()
    await expect(audit.append(entry({ requestId: 'lost' }))).resolves.toBeUndefined()
    expect(audit.waiting().lost).toBe(1)
    await startServer()
    await untilSeen('the loss is written', async () => audit.waiting().lost === 0)
    expect((await audit.list()).entries[0]).toMatchObject({ action: 'audit.lost' })
  })
})
