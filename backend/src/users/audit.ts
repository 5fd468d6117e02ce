import { SandlabError } from '../domain/error.js'
import type { AuditEntry } from '../domain/event.js'
import type { Logger } from '../system/log.js'
import { auditEntryOf, auditRowOf, auditRowSchema, insertAuditRows, type NewAuditEntry } from './audit-rows.js'
import type { Database } from './database.js'
import { createSpooledWriter } from './spooled-writer.js'
import { storableText } from './text.js'

export interface AuditFilter {
  /** 1–500, default 100. */
  limit?: number | undefined
  /** `next` of the page before. */
  before?: string | undefined
  /** Login or id. */
  actor?: string | undefined
  /** `node.start`, or `node` for all that begin with `node.`. */
  action?: string | undefined
  objectId?: string | undefined
}

export interface Audit {
  /**
   * Resolves when the entry is in the database or in the spool; never rejects. Entries keep the order of the calls, also
   * across a time without database.
   */
  append(entry: NewAuditEntry): Promise<void>
  /** Newest first. Throws `database_down`; `bad_request` for a cursor that none of our answers held. */
  list(filter?: AuditFilter): Promise<{ entries: AuditEntry[]; next: string | null }>
  /** Entries that wait for the database, and those for which there was no room. */
  waiting(): { spooled: number; lost: number }
  /** Writes what is under way; what waits for the database stays in the spool file. */
  close(): Promise<void>
}

export interface AuditOptions {
  /** See auditSpoolFile in domain/layout.ts. Without it the spool is in memory and ends with the process. */
  spoolFile?: string | undefined
  /** Default MAX_SPOOLED_ROWS. */
  maxSpooled?: number | undefined
  /** Pause before an absent database is tried again; default 2000. */
  retryMs?: number | undefined
  now?: (() => Date) | undefined
}

const LOSS = {
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
} as const

/** Who did what, on what, from where, with what result. Append-only: the database itself refuses changes. */
export function createAudit(database: Database, log: Logger, options: AuditOptions = {}): Audit {
  const now = options.now ?? (() => new Date())
  const writer = createSpooledWriter(log, {
    ...options,
    what: 'audit entries',
    schema: auditRowSchema,
    insert: (rows) => insertAuditRows(database.sql, rows),
    lossRow: (entries) => auditRowOf({ ...LOSS, details: { entries } }, now()),
  })
  return {
    append: (entry) => writer.write(auditRowOf(entry, now())),
    list: (filter = {}) => list(database, filter),
    waiting: () => writer.waiting(),
    close: () => writer.close(),
  }
}

async function list(database: Database, filter: AuditFilter): Promise<{ entries: AuditEntry[]; next: string | null }> {
  const limit = Math.min(Math.max(filter.limit ?? 100, 1), 500)
  let query = database.sql
    .selectFrom('audit')
    .selectAll()
    .orderBy('id', 'desc')
    .limit(limit + 1)
  if (filter.before !== undefined) query = query.where('id', '<', cursorOf(filter.before))
  if (filter.actor !== undefined) {
    const actor = storableText(filter.actor, 300)
    query = query.where((where) => where.or([where('actor_login', '=', actor), where('actor_id', '=', actor)]))
  }
  if (filter.action !== undefined) {
    const action = storableText(filter.action, 300)
    query = query.where((where) =>
      where.or([where('action', '=', action), where.fn<boolean>('starts_with', ['action', where.val(`${action}.`)])]),
    )
  }
  if (filter.objectId !== undefined) query = query.where('object_id', '=', storableText(filter.objectId, 300))
  const rows = await query.execute()
  const entries = rows.slice(0, limit).map(auditEntryOf)
  return { entries, next: rows.length > limit ? (entries.at(-1)?.id ?? null) : null }
}

function cursorOf(before: string): string {
  if (/^\d{1,18}$/.test(before)) return before
  throw new SandlabError('bad_request', 'The field `before` is no cursor of the audit log.', {
    hint: 'Take `next` of the previous page.',
  })
}
