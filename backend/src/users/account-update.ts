import type { Kysely, Transaction } from 'kysely'
import { SandlabError } from '../domain/error.js'
import type { UserId } from '../domain/ids.js'
import type { UpdateUser, User } from '../domain/user.js'
import { noSuchAccount, userOf, type UserRow } from './account-rows.js'
import type { Database } from './database.js'
import type { Revocation } from './revocations.js'
import type { Tables } from './tables.js'
import { isUuid, requirePlainText } from './text.js'

/** What Accounts.update promises; the caller tells who was ended, after the commit. */
export async function updateUser(
  database: Database,
  id: UserId,
  change: UpdateUser,
): Promise<{ user: User; ended: Revocation[] }> {
  if (!isUuid(id)) return noSuchAccount(id)
  const displayName =
    change.displayName === undefined ? undefined : requirePlainText('display name', change.displayName)
  return database.sql.transaction().execute(async (transaction) => {
    const before = await lockForUpdate(transaction, id, change)
    const row = await transaction
      .updateTable('users')
      .set({
        ...(displayName === undefined ? {} : { display_name: displayName }),
        role: change.role ?? before.role,
        disabled: change.disabled ?? before.disabled,
      })
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirstOrThrow()
    const ended: Revocation[] = []
    if (row.disabled || row.role !== before.role) {
      await endCredentials(transaction, 'sessions', id, null)
      // The whole user: consoles that were opened with a token have to ask again as well.
      ended.push({ userId: id })
    }
    if (row.disabled) await endCredentials(transaction, 'tokens', id, null)
    return { user: userOf(row), ended }
  })
}

/**
 * The last-administrator guard. Whoever takes an administrator away first locks all that can sign in, always in the same
 * order: two such changes wait for each other, and the second one sees what the first has left.
 */
async function lockForUpdate(transaction: Transaction<Tables>, id: UserId, change: UpdateUser): Promise<UserRow> {
  const takesAway = change.disabled === true || (change.role !== undefined && change.role !== 'administrator')
  if (takesAway) {
    const administrators = await transaction
      .selectFrom('users')
      .select('id')
      .where('role', '=', 'administrator')
      .where('disabled', '=', false)
      .orderBy('id')
      .forUpdate()
      .execute()
    if (administrators.length === 1 && administrators[0]?.id === id) {
      throw new SandlabError('last_administrator', 'This is the last administrator that can sign in.', {
        hint: 'Make another account an administrator first.',
      })
    }
  }
  const row = await transaction.selectFrom('users').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
  return row ?? noSuchAccount(id)
}

/** Ends all sessions or tokens of a user, but `keep`; says which. */
export async function endCredentials(
  sql: Kysely<Tables>,
  table: 'sessions' | 'tokens',
  userId: string,
  keep: string | null,
): Promise<Revocation[]> {
  const ended = await sql
    .deleteFrom(table)
    .where('user_id', '=', userId)
    .where('id', 'is distinct from', keep !== null && isUuid(keep) ? keep : null)
    .returning('id')
    .execute()
  return ended.map(({ id }) => ({ credentialId: id }))
}
