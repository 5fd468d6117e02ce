import { open, readFile, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errnoOf, fsyncDirectory } from '../system/durable-file.js'
import type { Logger } from '../system/log.js'
import { auditRowSchema, type AuditRow } from './audit-rows.js'

/** Where audit rows wait, in order, while the database is away. */
export interface AuditSpool {
  /** Rows that wait. */
  size(): number
  /** Resolves with how many had room and are kept, the first ones. */
  add(rows: AuditRow[]): Promise<number>
  read(): Promise<AuditRow[]>
  /** Forgets all that `read` gave. */
  clear(): Promise<void>
}

/** About an hour of a busy school. What comes on top is counted, and that is written when the database is back. */
export const MAX_SPOOLED_ROWS = 10_000

export function createMemorySpool(maxRows = MAX_SPOOLED_ROWS): AuditSpool {
  let rows: AuditRow[] = []
  return {
    size: () => rows.length,
    async add(more) {
      const kept = more.slice(0, Math.max(0, maxRows - rows.length))
      rows.push(...kept)
      return kept.length
    },
    read: async () => [...rows],
    async clear() {
      rows = []
    },
  }
}

/**
 * One JSON object a line, fsynced, so that what was acknowledged while the database was away survives the backend as well.
 * A line that a crash cut off is left out and that is logged.
 */
export async function openFileSpool(file: string, log: Logger, maxRows = MAX_SPOOLED_ROWS): Promise<AuditSpool> {
  let waiting = (await readRows(file, log)).length
  return {
    size: () => waiting,
    async add(rows) {
      const kept = rows.slice(0, Math.max(0, maxRows - waiting))
      if (kept.length === 0) return 0
      await appendDurably(file, kept.map((row) => `${JSON.stringify(row)}\n`).join(''))
      waiting += kept.length
      return kept.length
    },
    read: () => readRows(file, log),
    async clear() {
      await rm(file, { force: true })
      await fsyncDirectory(dirname(file))
      waiting = 0
    },
  }
}

async function appendDurably(file: string, text: string): Promise<void> {
  const before = await stat(file).then(
    ({ size }) => size,
    () => undefined,
  )
  const spool = await open(file, 'a', 0o600)
  try {
    await spool.writeFile(text)
    await spool.sync()
  } catch (error) {
    await spool.truncate(before ?? 0) // half a line would spoil the next one
    throw error
  } finally {
    await spool.close()
  }
  if (before === undefined) await fsyncDirectory(dirname(file))
}

async function readRows(file: string, log: Logger): Promise<AuditRow[]> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
  const rows: AuditRow[] = []
  for (const line of text.split('\n')) {
    if (line === '') continue
    const row = parseRow(line)
    if (row) rows.push(row)
    else log.warn({ line: line.slice(0, 200) }, 'a line of the audit spool is damaged and was left out')
  }
  return rows
}

function parseRow(line: string): AuditRow | undefined {
  try {
    return auditRowSchema.parse(JSON.parse(line))
  } catch {
    return undefined // the caller says so
  }
}
