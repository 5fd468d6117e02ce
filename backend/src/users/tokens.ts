import { randomUUID } from 'node:crypto'
import type { Selectable } from 'kysely'
import { SandlabError } from '../domain/error.js'
import type { UserId } from '../domain/ids.js'
import type { Subject } from '../domain/user.js'
import { noSuchAccount } from './account-rows.js'
import type { Database } from './database.js'
import { looksLikeSecret, newSecret, secretHash } from './secrets.js'
import { subjectOf } from './subject.js'
import type { TokensTable } from './tables.js'
import { isUuid, requirePlainText } from './text.js'

/** So that a token is recognised in a log or by a secret scanner. */
export const TOKEN_PREFIX = 'sbx_'
export const MAX_TOKENS_PER_USER = 20
/** `last_used_at` is written this often at most. */
const USED_EVERY_MS = 60_000

export interface TokenRecord {
  id: string
  name: string
  createdAt: string
  lastUsedAt: string | null
}

export interface Tokens {
  /** The clear token is in this answer and nowhere else. Throws `name_taken`, `quota_reached`, `bad_request`. */
  create(input: { userId: UserId; name: string }): Promise<{ token: string; record: TokenRecord }>
  /** Newest first. */
  list(userId: UserId): Promise<TokenRecord[]>
  /** Throws `not_found`, also for a token of somebody else. */
  revoke(tokenId: string, userId: UserId): Promise<void>
  /** Null: no such token, or its account is disabled. Never cached. Throws `database_down`. */
  resolve(token: string): Promise<Subject | null>
}

export function createTokens(database: Database, options: { now?: () => Date } = {}): Tokens {
  const now = options.now ?? (() => new Date())
  return {
    create: (input) => create(database, input, now()),
    async list(userId) {
      const rows = await database.sql
        .selectFrom('tokens')
        .selectAll()
        .where('user_id', '=', userId)
        .orderBy('created_at', 'desc')
        .execute()
      return rows.map(recordOf)
    },
    async revoke(tokenId, userId) {
      const ended = isUuid(tokenId)
        ? await database.sql
            .deleteFrom('tokens')
            .where('id', '=', tokenId)
            .where('user_id', '=', userId)
            .returning('id')
            .executeTakeFirst()
        : undefined
      if (!ended) throw new SandlabError('not_found', 'There is no such token of yours.')
      database.revocations.publish({ credentialId: ended.id })
    },
    resolve: (token) => resolve(database, token, now()),
  }
}

async function create(database: Database, input: { userId: UserId; name: string }, at: Date) {
  const token = `${TOKEN_PREFIX}${newSecret()}`
  const name = requirePlainText('name of the token', input.name.trim())
  const row = await database.sql.transaction().execute(async (transaction) => {
    // Locks the user, so that two requests can't both take the last place.
    const owner = await transaction
      .selectFrom('users')
      .select('id')
      .where('id', '=', input.userId)
      .where('disabled', '=', false)
      .forUpdate()
      .executeTakeFirst()
    if (!owner) return noSuchAccount(input.userId)
    const names = await transaction.selectFrom('tokens').select('name').where('user_id', '=', input.userId).execute()
    if (names.some((one) => one.name === name)) {
      throw new SandlabError('name_taken', `You already have a token with the name ${name}.`, {
        hint: 'Take another name, or revoke that one first.',
      })
    }
    if (names.length >= MAX_TOKENS_PER_USER) {
      throw new SandlabError('quota_reached', `You already have ${MAX_TOKENS_PER_USER} tokens.`, {
        hint: 'Revoke those that you no longer use.',
        details: { limit: MAX_TOKENS_PER_USER },
      })
    }
    return transaction
      .insertInto('tokens')
      .values({
        id: randomUUID(),
        user_id: input.userId,
        name,
        secret_hash: secretHash(token),
        created_at: at,
        last_used_at: null,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
  })
  return { token, record: recordOf(row) }
}

async function resolve(database: Database, token: string, at: Date): Promise<Subject | null> {
  if (!token.startsWith(TOKEN_PREFIX) || !looksLikeSecret(token.slice(TOKEN_PREFIX.length))) return null
  const row = await database.sql
    .selectFrom('tokens')
    .innerJoin('users', 'users.id', 'tokens.user_id')
    .where('secret_hash', '=', secretHash(token))
    .where('disabled', '=', false)
    .select(['tokens.id', 'user_id', 'last_used_at', 'login', 'role', 'must_change_password'])
    .executeTakeFirst()
  if (!row) return null
  if (!row.last_used_at || at.getTime() - row.last_used_at.getTime() > USED_EVERY_MS) {
    await database.sql.updateTable('tokens').set({ last_used_at: at }).where('id', '=', row.id).execute()
  }
  return subjectOf(row, 'token')
}

function recordOf(row: Selectable<TokensTable>): TokenRecord {
  return {
    id: row.id,
    name: row.name,
    createdAt: row.created_at.toISOString(),
    lastUsedAt: row.last_used_at?.toISOString() ?? null,
  }
}
