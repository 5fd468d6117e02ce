import { randomUUID } from 'node:crypto'
import type { Insertable, Kysely, Selectable } from 'kysely'
import { z } from 'zod'
import type { AuditEntry } from '../domain/event.js'
import type { AuditTable, Tables } from './tables.js'
import { storableText } from './text.js'

/** What a caller knows of an entry; the rest is given by the audit room. `at` only when it happened earlier. */
export type NewAuditEntry = Omit<AuditEntry, 'id' | 'at'> & { at?: string }

/** One line of the spool, and the row that it becomes. */
export const auditRowSchema = z.strictObject({
  key: z.uuid(),
  at: z.iso.datetime(),
  actor_id: z.string().nullable(),
  actor_login: z.string(),
  action: z.string(),
  object_type: z.string().nullable(),
  object_id: z.string().nullable(),
  object_name: z.string().nullable(),
  address: z.string(),
  result: z.enum(['success', 'failure']),
  code: z.string().nullable(),
  request_id: z.string().nullable(),
  /** JSON. */
  details: z.string(),
})
export type AuditRow = z.infer<typeof auditRowSchema>

const MAX_TEXT = 300
const MAX_DETAILS = 8000

/** Never throws: texts are cut and made storable, details that are too large are left out and that is said. */
export function auditRowOf(entry: NewAuditEntry, now: Date): AuditRow {
  return {
    key: randomUUID(),
    at: entry.at ?? now.toISOString(),
    actor_id: orNull(entry.actorId),
    actor_login: text(entry.actorLogin),
    action: text(entry.action),
    object_type: orNull(entry.objectType),
    object_id: orNull(entry.objectId),
    object_name: orNull(entry.objectName),
    address: text(entry.address),
    result: entry.result,
    code: orNull(entry.code),
    request_id: orNull(entry.requestId),
    details: detailsText(entry.details),
  }
}

function text(value: string): string {
  return storableText(value, MAX_TEXT)
}

function orNull(value: string | null): string | null {
  return value === null ? null : text(value)
}

function detailsText(details: Record<string, unknown>): string {
  try {
    const json = JSON.stringify(details, (_key, value: unknown) =>
      typeof value === 'string' ? storableText(value, MAX_DETAILS) : value,
    )
    if (json.length > MAX_DETAILS) return JSON.stringify({ leftOut: `${json.length} characters of details` })
    // A key may hold what a value may not; `\u0000` in JSON is what jsonb refuses.
    return storableText(json.replaceAll(String.raw`\u0000`, '\u{FFFD}'), MAX_DETAILS)
  } catch {
    return JSON.stringify({ leftOut: 'details that are no JSON' })
  }
}

/** Writes rows in order; one that is there already (a replay) is left as it is. */
export async function insertAuditRows(sql: Kysely<Tables>, rows: AuditRow[]): Promise<void> {
  const values = rows.map((row): Insertable<AuditTable> => ({ ...row, at: new Date(row.at) }))
  await sql
    .insertInto('audit')
    .values(values)
    .onConflict((conflict) => conflict.column('key').doNothing())
    .execute()
}

export function auditEntryOf(row: Selectable<AuditTable>): AuditEntry {
  return {
    id: row.id,
    at: row.at.toISOString(),
    actorId: row.actor_id,
    actorLogin: row.actor_login,
    action: row.action,
    objectType: row.object_type,
    objectId: row.object_id,
    objectName: row.object_name,
    address: row.address,
    result: row.result,
    code: row.code,
    requestId: row.request_id,
    details: row.details,
  }
}
