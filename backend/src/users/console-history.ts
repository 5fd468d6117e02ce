import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { ConsoleVisit } from '../domain/console-history.js'
import { SandlabError } from '../domain/error.js'
import { errnoOf, writeFileDurably } from '../system/durable-file.js'
import type { Logger } from '../system/log.js'
import {
  cursorOf,
  parseCursor,
  readVisits,
  visitEventOf,
  visitEventSchema,
  writeVisitEvents,
  type NewVisit,
} from './console-visit-rows.js'
import type { Database } from './database.js'
import { createSpooledWriter } from './spooled-writer.js'

/** Who had which console open, when and for how long. Nothing is lost while the database is away. */
export interface ConsoleHistory {
  opened(visit: NewVisit): void
  /** Some of it is recorded from here on. */
  recorded(visitId: string): void
  /** Once; a visit that is not known is none. Gives back what was opened. */
  closed(visitId: string): ConsoleVisit | undefined
  /** Newest first. Throws `database_down`; `bad_request` for a cursor that none of our answers held. */
  list(
    nodeId: string,
    page?: { limit?: number | undefined; before?: string | undefined },
  ): Promise<{ visits: ConsoleVisit[]; next: string | null }>
  /** Removes visits that were closed before this moment. Throws `database_down`. */
  purge(closedBefore: Date): Promise<number>
  /** What is still open is closed now. */
  close(): Promise<void>
}

export interface ConsoleHistoryOptions {
  /** See consoleHistorySpoolFile and aliveFile in domain/layout.ts. */
  spoolFile: string
  aliveFile: string
  /** How far back the time of a killed backend's consoles may be off; default 10 s. */
  aliveEveryMs?: number
  retryMs?: number
  now?: () => Date
}

/** Closes what a killed backend has left open, with the time at which it was last known to be alive. */
export async function createConsoleHistory(
  database: Database,
  log: Logger,
  options: ConsoleHistoryOptions,
): Promise<ConsoleHistory> {
  const now = options.now ?? (() => new Date())
  const runId = randomUUID()
  const open = new Map<string, NewVisit>()
  const writer = createSpooledWriter(log, {
    what: 'lines of the console history',
    schema: visitEventSchema,
    insert: (events) => writeVisitEvents(database.sql, events),
    spoolFile: options.spoolFile,
    retryMs: options.retryMs,
  })
  const aliveUntil = await readAlive(options.aliveFile)
  // Kept somewhere before our own sign of life takes the place of the last one.
  const begun = writer.write({ type: 'began', runId, aliveUntil })
  let writing: Promise<void> = begun.then(sayAlive)
  const beat = setInterval(() => void (writing = writing.then(sayAlive)), options.aliveEveryMs ?? 10_000)
  beat.unref()

  async function sayAlive(): Promise<void> {
    await writeFileDurably(options.aliveFile, now().toISOString()).catch((error: unknown) => {
      log.warn({ err: error }, 'the sign of life could not be written')
    })
  }

  function end(visit: NewVisit): ConsoleVisit {
    open.delete(visit.id)
    const at = now()
    void writer.write(visitEventOf(visit, runId, at))
    return { ...visit, closedAt: at.toISOString(), ended: 'closed' }
  }

  return {
    opened(visit) {
      open.set(visit.id, visit)
      void writer.write(visitEventOf(visit, runId, null))
    },
    recorded(visitId) {
      const visit = open.get(visitId)
      if (!visit || visit.recorded) return
      open.set(visitId, { ...visit, recorded: true })
      void writer.write(visitEventOf({ ...visit, recorded: true }, runId, null))
    },
    closed(visitId) {
      const visit = open.get(visitId)
      return visit && end(visit)
    },
    async list(nodeId, { limit: asked = 50, before } = {}) {
      const limit = Math.min(Math.max(asked, 1), 500)
      const visits = await readVisits(database.sql, nodeId, limit, before === undefined ? undefined : placeOf(before))
      const shown = visits.slice(0, limit)
      const last = shown.at(-1)
      return { visits: shown, next: visits.length > limit && last ? cursorOf(last) : null }
    },
    async purge(closedBefore) {
      const { numDeletedRows } = await database.sql
        .deleteFrom('console_visits')
        .where('closed_at', '<', closedBefore)
        .executeTakeFirst()
      return Number(numDeletedRows)
    },
    async close() {
      clearInterval(beat)
      for (const visit of open.values()) end(visit)
      await writing
      await writer.close()
    },
  }
}

/** Null: no backend ever said so here, or nothing that can be read. */
async function readAlive(file: string): Promise<string | null> {
  try {
    const at = new Date((await readFile(file, 'utf8')).trim())
    return Number.isNaN(at.getTime()) ? null : at.toISOString()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  }
}

function placeOf(before: string): { openedAt: Date; id: string } {
  const place = parseCursor(before)
  if (place) return place
  throw new SandlabError('bad_request', 'The field `before` is no cursor of the console history.', {
    hint: 'Take `next` of the previous page.',
  })
}
