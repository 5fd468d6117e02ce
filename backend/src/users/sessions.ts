import type { UserId } from '../domain/ids.js'
import type { Subject } from '../domain/user.js'
import { endCredentials } from './account-update.js'
import type { Database } from './database.js'
import type { Revocation } from './revocations.js'
import { looksLikeSecret, secretHash } from './secrets.js'
import { CLOCK_TOLERANCE_MS, IDLE_MS, SEEN_EVERY_MS, SWEEP_EVERY_MS } from './session-limits.js'
import { openSession, type SignIn } from './sign-in.js'
import { subjectOf } from './subject.js'
import { isUuid } from './text.js'
import { verifyPassword } from './verify-password.js'

export interface SessionRecord {
  id: string
  createdAt: string
  lastSeenAt: string
  expiresAt: string
  userAgent: string
  address: string
}

export interface Sessions {
  /** Throws `bad_credentials`, `account_disabled`. Not rate limited itself: see sign-in-limiter.ts. */
  signIn(input: SignIn): Promise<{ cookieValue: string; subject: Subject }>
  /**
   * Null: no such session, ended, too old, or its account is disabled. Never cached: a revocation holds for the very
   * next request. Throws `database_down`.
   */
  resolveCookie(value: string): Promise<Subject | null>
  signOut(credentialId: string): Promise<void>
  /** Ends all sessions of a user, but `keep`. */
  revokeAllOf(userId: UserId, keep?: string): Promise<void>
  /** Newest first. */
  list(userId: UserId): Promise<SessionRecord[]>
  /** Called at once whenever a session or token ends, by whatever cause. Returns the unsubscribe. */
  onRevoked(listener: (revocation: Revocation) => void): () => void
  /** Removes what is too old and tells the listeners; runs every minute by itself. */
  sweep(): Promise<void>
  close(): void
}

export function createSessions(database: Database, options: { now?: () => Date } = {}): Sessions {
  const now = options.now ?? (() => new Date())
  const tell = (ids: { id: string }[]) => {
    for (const { id } of ids) database.revocations.publish({ credentialId: id })
  }
  const sessions: Sessions = {
    async signIn(input) {
      const user = await verifyPassword(database, input.login, input.password)
      const opened = await database.sql
        .transaction()
        .execute((transaction) => openSession(transaction, user, input, now()))
      tell(opened.ended)
      return { cookieValue: opened.cookieValue, subject: opened.subject }
    },
    resolveCookie: (value) => resolve(database, value, now()),
    async signOut(credentialId) {
      if (!isUuid(credentialId)) return
      tell(await database.sql.deleteFrom('sessions').where('id', '=', credentialId).returning('id').execute())
    },
    async revokeAllOf(userId, keep) {
      const ended = await endCredentials(database.sql, 'sessions', userId, keep ?? null)
      for (const one of ended) database.revocations.publish(one)
    },
    list: (userId) => list(database, userId),
    onRevoked: (listener) => database.revocations.subscribe(listener),
    async sweep() {
      const at = now().getTime()
      const ended = await database.sql
        .deleteFrom('sessions')
        .where((where) =>
          where.or([
            where('expires_at', '<=', new Date(at)),
            where('last_seen_at', '<=', new Date(at - IDLE_MS)),
            where('last_seen_at', '>', new Date(at + CLOCK_TOLERANCE_MS)),
          ]),
        )
        .returning('id')
        .execute()
      tell(ended)
    },
    close: () => clearInterval(sweeping),
  }
  // A failed sweep is made up for by the next one; `resolveCookie` looks at the times itself.
  const sweeping = setInterval(() => void sessions.sweep().catch(() => undefined), SWEEP_EVERY_MS)
  sweeping.unref()
  return sessions
}

async function resolve(database: Database, value: string, at: Date): Promise<Subject | null> {
  if (!looksLikeSecret(value)) return null
  const row = await database.sql
    .selectFrom('sessions')
    .innerJoin('users', 'users.id', 'sessions.user_id')
    .where('secret_hash', '=', secretHash(value))
    .where('disabled', '=', false)
    .select(['sessions.id', 'user_id', 'last_seen_at', 'expires_at', 'login', 'role', 'must_change_password'])
    .executeTakeFirst()
  if (!row) return null
  const idleMs = at.getTime() - row.last_seen_at.getTime()
  if (row.expires_at <= at || idleMs >= IDLE_MS || idleMs < -CLOCK_TOLERANCE_MS) return null
  if (idleMs > SEEN_EVERY_MS) {
    await database.sql.updateTable('sessions').set({ last_seen_at: at }).where('id', '=', row.id).execute()
  }
  return subjectOf(row, 'session')
}

async function list(database: Database, userId: UserId): Promise<SessionRecord[]> {
  const rows = await database.sql
    .selectFrom('sessions')
    .selectAll()
    .where('user_id', '=', userId)
    .orderBy('created_at', 'desc')
    .execute()
  return rows.map((row) => ({
    id: row.id,
    createdAt: row.created_at.toISOString(),
    lastSeenAt: row.last_seen_at.toISOString(),
    expiresAt: row.expires_at.toISOString(),
    userAgent: row.user_agent,
    address: row.address,
  }))
}
