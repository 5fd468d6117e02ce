import { open, readFile, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { z } from 'zod'
import { errnoOf, fsyncDirectory } from '../system/durable-file.js'
import type { Logger } from '../system/log.js'

/** Where rows wait, in order, while the database is away. */
export interface RowSpool<R> {
  /** Rows that wait. */
  size(): number
  /** Resolves with how many had room and are kept, the first ones. */
  add(rows: R[]): Promise<number>
  read(): Promise<R[]>
  /** Forgets all that `read` gave. */
  clear(): Promise<void>
}

/** About an hour of a busy school. What comes on top is counted, and that is written when the database is back. */
export const MAX_SPOOLED_ROWS = 10_000

export function createMemorySpool<R>(maxRows = MAX_SPOOLED_ROWS): RowSpool<R> {
  let rows: R[] = []
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
export async function openFileSpool<R>(
  file: string,
  schema: z.ZodType<R>,
  log: Logger,
  maxRows = MAX_SPOOLED_ROWS,
): Promise<RowSpool<R>> {
  let waiting = (await readRows(file, schema, log)).length
  return {
    size: () => waiting,
    async add(rows) {
      const kept = rows.slice(0, Math.max(0, maxRows - waiting))
      if (kept.length === 0) return 0
      await appendDurably(file, kept.map((row) => `${JSON.stringify(row)}\n`).join(''))
      waiting += kept.length
      return kept.length
    },
    read: () => readRows(file, schema, log),
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

async function readRows<R>(file: string, schema: z.ZodType<R>, log: Logger): Promise<R[]> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
  const rows: R[] = []
  for (const line of text.split('\n')) {
    if (line === '') continue
    const row = parseRow(line, schema)
    if (row !== undefined) rows.push(row)
    else log.warn({ file, line: line.slice(0, 200) }, 'a line of a spool is damaged and was left out')
  }
  return rows
}

function parseRow<R>(line: string, schema: z.ZodType<R>): R | undefined {
  try {
    return schema.parse(JSON.parse(line))
  } catch {
    return undefined // the caller says so
  }
}
