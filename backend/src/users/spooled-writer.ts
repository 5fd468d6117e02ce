import type { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import type { Logger } from '../system/log.js'
import { createMemorySpool, MAX_SPOOLED_ROWS, openFileSpool, type RowSpool } from './row-spool.js'

/** Writes rows in the order of the calls, also across a time without database. */
export interface SpooledWriter<R> {
  /** Resolves when the row is kept somewhere; never rejects. */
  write(row: R): Promise<void>
  waiting(): { spooled: number; lost: number }
  close(): Promise<void>
}

export interface SpooledWriterOptions<R> {
  /** In words, for the log: `audit entries`. */
  what: string
  /** Writes rows in order; one that is there already (a replay) must stay as it is. Rejects with `database_down`. */
  insert(rows: R[]): Promise<void>
  schema: z.ZodType<R>
  /** Written once the database is back, for rows that had no room. */
  lossRow?: ((rows: number) => R) | undefined
  /** Without it the spool is in memory and ends with the process. */
  spoolFile?: string | undefined
  /** Default MAX_SPOOLED_ROWS. */
  maxSpooled?: number | undefined
  /** Pause before an absent database is tried again; default 2000. */
  retryMs?: number | undefined
}

/** Rows in one statement: a burst of 500 changes becomes three. */
const BATCH = 200

/** One loop writes everything, so there is one order: what waited in the spool first, then the newest. */
export function createSpooledWriter<R>(log: Logger, options: SpooledWriterOptions<R>): SpooledWriter<R> {
  const { what, lossRow, retryMs = 2000 } = options
  const pending: { row: R; done: () => void }[] = []
  const spoolOpening = openSpool(log, options)
  let spool: RowSpool<R> | undefined
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
  async function replay(from: RowSpool<R>): Promise<boolean> {
    if (from.size() === 0 && lost === 0) return true
    if (performance.now() < tryAgainAt) return false
    try {
      const rows = await from.read()
      if (!(await write(rows))) return false
      if (lost > 0 && lossRow && !(await write([lossRow(lost)]))) return false
      lost = 0
      await from.clear()
      log.info({ rows: rows.length }, `the ${what} that waited are written`)
      return true
    } catch (error) {
      tryAgainAt = performance.now() + retryMs
      log.error({ err: error }, `the spool of ${what} could not be read or emptied`)
      return false
    }
  }

  async function write(rows: R[]): Promise<boolean> {
    try {
      for (let at = 0; at < rows.length; at += BATCH) await insertOrLeaveOut(rows.slice(at, at + BATCH))
      return true
    } catch (error) {
      tryAgainAt = performance.now() + retryMs
      log.warn({ err: error }, `${what} wait for the database`)
      return false
    }
  }

  /** A row that the database refuses for what it is must not keep all others waiting for ever. */
  async function insertOrLeaveOut(rows: R[]): Promise<void> {
    if (rows.length === 0) return
    try {
      await options.insert(rows)
    } catch (error) {
      if (error instanceof SandlabError) throw error
      if (rows.length === 1) log.error({ err: error, row: rows[0] }, `the database refuses one of the ${what}`)
      else for (const row of rows) await insertOrLeaveOut([row])
    }
  }

  async function keep(rows: R[], where: RowSpool<R>): Promise<void> {
    const kept = await where.add(rows).catch((error: unknown) => {
      log.error({ err: error }, `the spool of ${what} could not be written`)
      return 0
    })
    for (const entry of rows.slice(kept)) lose(entry)
  }

  function lose(row: R): void {
    lost += 1
    log.error({ row }, `there was no room for one of the ${what}`) // the log is the last place that is left
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

async function openSpool<R>(log: Logger, options: SpooledWriterOptions<R>): Promise<RowSpool<R>> {
  const { spoolFile, schema, maxSpooled, what } = options
  if (spoolFile === undefined) return createMemorySpool(maxSpooled)
  try {
    return await openFileSpool(spoolFile, schema, log, maxSpooled)
  } catch (error) {
    log.error({ err: error, spoolFile }, `the spool of ${what} can not be read; this process keeps its own in memory`)
    return createMemorySpool(maxSpooled)
  }
}
