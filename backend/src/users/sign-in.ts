import { randomUUID } from 'node:crypto'
import type { Kysely } from 'kysely'
import { SandlabError } from '../domain/error.js'
import { looksLikeSecret, newSecret, secretHash } from './secrets.js'
import { ABSOLUTE_MS, MAX_SESSIONS_PER_USER } from './session-limits.js'
import { subjectOf } from './subject.js'
import type { Tables } from './tables.js'
import { storableText } from './text.js'
import type { VerifiedUser } from './verify-password.js'

export interface SignIn {
  login: string
  password: string
  address: string
  userAgent: string
  /** The cookie that came with the request: that session ends, a new one never continues an old one. */
  replaces?: string | undefined
}

/** Inside one transaction, after the password was verified: a fresh session, and which ones it ended. */
export async function openSession(transaction: Kysely<Tables>, user: VerifiedUser, input: SignIn, at: Date) {
  // The password was looked at outside of this transaction: it may have been changed, or the account disabled, since.
  const still = await transaction
    .updateTable('users')
    .set({ last_sign_in_at: at })
    .where('id', '=', user.id)
    .where('password_hash', '=', user.passwordHash)
    .where('disabled', '=', false)
    .returning(['role', 'must_change_password'])
    .executeTakeFirst()
  if (!still) {
    throw new SandlabError('bad_credentials', 'The account was changed at this very moment.', { hint: 'Try again.' })
  }
  const ended = await endReplaced(transaction, input.replaces)
  const cookieValue = newSecret()
  const id = randomUUID()
  await transaction
    .insertInto('sessions')
    .values({
      id,
      user_id: user.id,
      secret_hash: secretHash(cookieValue),
      created_at: at,
      last_seen_at: at,
      expires_at: new Date(at.getTime() + ABSOLUTE_MS),
      user_agent: storableText(input.userAgent, 300),
      address: storableText(input.address, 64),
    })
    .execute()
  const tooMany = await transaction
    .deleteFrom('sessions')
    .where('id', 'in', (from) =>
      from
        .selectFrom('sessions')
        .select('id')
        .where('user_id', '=', user.id)
        .orderBy('created_at', 'desc')
        .offset(MAX_SESSIONS_PER_USER),
    )
    .returning('id')
    .execute()
  const subject = subjectOf({ id, user_id: user.id, login: user.login, ...still }, 'session')
  return { cookieValue, subject, ended: [...ended, ...tooMany] }
}

async function endReplaced(transaction: Kysely<Tables>, cookieValue: string | undefined) {
  if (cookieValue === undefined || !looksLikeSecret(cookieValue)) return []
  return transaction.deleteFrom('sessions').where('secret_hash', '=', secretHash(cookieValue)).returning('id').execute()
}
