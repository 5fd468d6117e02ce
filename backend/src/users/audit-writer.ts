import { SandlabError } from '../domain/error.js'
import type { Logger } from '../system/log.js'
import { auditRowOf, insertAuditRows, type AuditRow } from './audit-rows.js'
import { createMemorySpool, MAX_SPOOLED_ROWS, openFileSpool, type AuditSpool } from './audit-spool.js'
import type { AuditOptions } from './audit.js'
import type { Database } from './database.js'

export interface AuditWriter {
  /** Resolves when the row is kept somewhere; never rejects. */
  write(row: AuditRow): Promise<void>
  waiting(): { spooled: number; lost: number }
  close(): Promise<void>
}

/** Rows in one statement: a burst of 500 changes becomes three. */
const BATCH = 200

/** One loop writes everything, so there is one order: what waited in the spool first, then the newest. */
export function createAuditWriter(database: Database, log: Logger, options: AuditOptions): AuditWriter {
  const { retryMs = 2000 } = options
  const pending: { row: AuditRow; done: () => void }[] = []
  const spoolOpening = openSpool(log, options)
  let spool: AuditSpool | undefined
  let lost = 0
  let tryAgainAt = 0
  let running: Promise<void> | undefined

  function wake(): void {
    running ??= run()
  }

  async function run(): Promise<void> {
    spool ??= await spoolOpening
    do {
      const batch = pending.splice(0, BATCH)
      const rows = batch.map(({ row }) => row)
      const written = (await replay(spool)) && (await write(rows))
      if (!written) await keep(rows, spool)
      for (const { done } of batch) done()
    } while (pending.length > 0)
    running = undefined // in the same breath as the last look at `pending`
  }

  /** What waited, and how much had no room. False: the database is away. */
  async function replay(from: AuditSpool): Promise<boolean> {
    if (from.size() === 0 && lost === 0) return true
    if (performance.now() < tryAgainAt) return false
    try {
      const rows = await from.read()
      if (!(await write(rows))) return false
      if (lost > 0 && !(await write([lossRow(lost)]))) return false
      lost = 0
      await from.clear()
      log.info({ entries: rows.length }, 'the audit entries that waited are written')
      return true
    } catch (error) {
      tryAgainAt = performance.now() + retryMs
      log.error({ err: error }, 'the audit spool could not be read or emptied')
      return false
    }
  }

  async function write(rows: AuditRow[]): Promise<boolean> {
    try {
      for (let at = 0; at < rows.length; at += BATCH) await insertOrLeaveOut(database, rows.slice(at, at + BATCH), log)
      return true
    } catch (error) {
      tryAgainAt = performance.now() + retryMs
      log.warn({ err: error }, 'audit entries wait for the database')
      return false
    }
  }

  async function keep(rows: AuditRow[], where: AuditSpool): Promise<void> {
    const kept = await where.add(rows).catch((error: unknown) => {
      log.error({ err: error }, 'the audit spool could not be written')
      return 0
    })
    for (const entry of rows.slice(kept)) lose(entry)
  }

  function lose(entry: AuditRow): void {
    lost += 1
    log.error({ entry }, 'an audit entry had no room') // the log is the last place that is left
  }

  const retrying = setInterval(() => {
    if (lost > 0 || (spool && spool.size() > 0)) wake()
  }, retryMs)
  retrying.unref()
  wake() // what an earlier backend could not write
  return {
    write(row) {
      if (pending.length >= MAX_SPOOLED_ROWS) {
        lose(row)
        return Promise.resolve()
      }
      return new Promise((done) => {
        pending.push({ row, done })
        wake()
      })
    },
    waiting: () => ({ spooled: spool?.size() ?? 0, lost }),
    async close() {
      clearInterval(retrying)
      await running // `write` after this is not expected: whoever appends is closed before
    },
  }
}

async function openSpool(log: Logger, { spoolFile, maxSpooled }: AuditOptions): Promise<AuditSpool> {
  if (spoolFile === undefined) return createMemorySpool(maxSpooled)
  try {
    return await openFileSpool(spoolFile, log, maxSpooled)
  } catch (error) {
    log.error({ err: error, spoolFile }, 'the audit spool can not be read; this process keeps its own in memory')
    return createMemorySpool(maxSpooled)
  }
}

/** A row that the database refuses for what it is must not keep all others waiting for ever. */
async function insertOrLeaveOut(database: Database, rows: AuditRow[], log: Logger): Promise<void> {
  if (rows.length === 0) return
  try {
    await insertAuditRows(database.sql, rows)
  } catch (error) {
    if (error instanceof SandlabError) throw error
    if (rows.length === 1) log.error({ err: error, entry: rows[0] }, 'the database refuses an audit entry')
    else for (const row of rows) await insertOrLeaveOut(database, [row], log)
  }
}

function lossRow(entries: number): AuditRow {
  return auditRowOf(
    {
      actorId: null,
      actorLogin: 'system',
      action: 'audit.lost',
      objectType: null,
      objectId: null,
      objectName: null,
      address: 'system',
      result: 'failure',
      code: null,
      requestId: null,
      details: { entries },
    },
    new Date(),
  )
}
