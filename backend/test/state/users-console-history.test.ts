import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { sql } from 'kysely'
import { randomUUID } from 'node:crypto'
import { readFile, rm, stat } from 'node:fs/promises'
import { nodeIdSchema, userIdSchema } from '../../src/domain/ids.js'
import { aliveFile, consoleHistorySpoolFile } from '../../src/domain/layout.js'
import { createLog } from '../../src/system/log.js'
import { postgresIdentity, startPostgres, type ManagedPostgres } from '../../src/system/postgres.js'
import { createConsoleHistory, type ConsoleHistory } from '../../src/users/console-history.js'
import type { NewVisit } from '../../src/users/console-visit-rows.js'
import { openDatabase, type Database } from '../../src/users/database.js'
import { FAST, removeLayout, temporaryLayout } from '../support/postgres.js'
import { untilSeen } from '../support/until.js'

jest.setTimeout(60_000) // real servers, on a machine that may be busy

const log = createLog('silent')
const layout = await temporaryLayout()
const spoolFile = consoleHistorySpoolFile(layout)
const NODE = nodeIdSchema.parse(randomUUID())
let server: ManagedPostgres
let database: Database
let clock = Date.parse('2026-11-21T08:00:00.000Z')
const opened: ConsoleHistory[] = []

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
  for (const history of opened.splice(0)) await history.close()
  await sql`truncate console_visits`.execute(database.sql)
  await rm(spoolFile, { force: true })
  await rm(aliveFile(layout), { force: true })
})

async function newHistory(now = () => new Date(clock)): Promise<ConsoleHistory> {
  const options = { spoolFile, aliveFile: aliveFile(layout), retryMs: 50, aliveEveryMs: 20, now }
  const history = await createConsoleHistory(database, log, options)
  opened.push(history)
  return history
}

function visit(parts: Partial<NewVisit> = {}): NewVisit {
  return {
    id: randomUUID(),
    nodeId: NODE,
    nodeName: 'web',
    userId: userIdSchema.parse(randomUUID()),
    login: 'ada',
    kind: 'serial',
    engine: 'direct',
    mode: 'control',
    address: '192.0.2.1',
    recorded: false,
    openedAt: new Date(clock).toISOString(),
    ...parts,
  }
}

const visitsOf = async (history: ConsoleHistory) => (await history.list(NODE)).visits
const onceSeen = (history: ConsoleHistory, count: number) =>
  untilSeen(`${count} visits`, async () => {
    const visits = await visitsOf(history)
    return visits.length === count && visits
  })

describe('the console history', () => {
  it('knows who has which console open, and from when to when', async () => {
    const history = await newHistory()
    const one = visit({ kind: 'screen', engine: 'guacamole', mode: 'view' })
    history.opened(one)
    expect(await onceSeen(history, 1)).toEqual([{ ...one, closedAt: null, ended: null }])
    history.recorded(one.id)
    clock += 90_000
    expect(history.closed(one.id)).toMatchObject({ id: one.id, closedAt: new Date(clock).toISOString() })
    expect(history.closed(one.id)).toBeUndefined()
    const closed = { ...one, recorded: true, closedAt: new Date(clock).toISOString(), ended: 'closed' }
    await untilSeen('it is closed', async () => (await visitsOf(history))[0]?.closedAt !== null)
    expect(await visitsOf(history)).toEqual([closed])
  })

  it('is read page by page, newest first, without a gap where many came at one moment', async () => {
    const history = await newHistory()
    const ids = Array.from({ length: 12 }, () => visit()).map((one) => (history.opened(one), one.id))
    await onceSeen(history, 12)
    const read: string[] = []
    let before: string | undefined
    do {
      const page = await history.list(NODE, { limit: 5, before })
      read.push(...page.visits.map(({ id }) => id))
      before = page.next ?? undefined
    } while (before !== undefined)
    expect(read.toSorted()).toEqual(ids.toSorted())
    for (const bad of ['x', '1_x', `x_${randomUUID()}`]) {
      await expect(history.list(NODE, { before: bad })).rejects.toMatchObject({ code: 'bad_request' })
    }
  })

  it('closes what is open when the backend goes in order', async () => {
    const first = await newHistory()
    first.opened(visit())
    await first.close()
    const second = await newHistory()
    expect(await visitsOf(second)).toMatchObject([{ ended: 'closed' }])
  })

  it('closes what a killed backend has left open at the time it was last known to live', async () => {
    let killedAt = clock
    const killed = await newHistory(() => new Date(killedAt)) // its clock stands still when it is "killed"
    killed.opened(visit())
    await onceSeen(killed, 1)
    killedAt += 5000
    const lastKnown = new Date(killedAt).toISOString()
    await untilSeen(
      'its sign of life',
      async () => (await readFile(aliveFile(layout), 'utf8').catch(() => '')) === lastKnown,
    )
    clock += 3_600_000
    opened.length = 0
    const next = await newHistory()
    const [left] = await untilSeen('it is closed', async () => {
      const visits = await visitsOf(next)
      return visits[0]?.closedAt !== null && visits
    })
    expect(left).toMatchObject({ ended: 'lost', closedAt: lastKnown })
    await killed.close() // what the killed one would still have said changes nothing
    expect(await visitsOf(next)).toEqual([left])
  })

  it('loses nothing while the database is away, and hands what waits to the next backend', async () => {
    const history = await newHistory()
    const [before, during] = [visit({ login: 'before' }), visit({ login: 'during' })]
    history.opened(before)
    await onceSeen(history, 1)
    await server.stop()
    history.opened(during)
    clock += 60_000
    history.closed(before.id)
    await history.close()
    opened.length = 0
    expect((await stat(spoolFile)).mode & 0o777).toBe(0o600)
    await startServer()
    const next = await newHistory()
    const visits = await untilSeen('both, and their ends, which are written one after the other', async () => {
      const found = await visitsOf(next)
      return found.length === 2 && found.every(({ closedAt }) => closedAt !== null) && found
    })
    expect(visits.map(({ login, ended }) => `${login} ${ended}`).toSorted()).toEqual(['before closed', 'during closed'])
  })

  it('forgets what was closed long ago, and never what is open', async () => {
    const history = await newHistory()
    const [old, open] = [visit(), visit()]
    history.opened(old)
    history.opened(open)
    history.closed(old.id)
    await untilSeen('it is closed', async () => (await visitsOf(history)).some(({ closedAt }) => closedAt !== null))
    expect(await history.purge(new Date(clock))).toBe(0)
    expect(await history.purge(new Date(clock + 1))).toBe(1)
    expect(await visitsOf(history)).toMatchObject([{ id: open.id }])
  })
})
