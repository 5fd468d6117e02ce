import { SandlabError } from '../domain/error.js'
import type { User } from '../domain/user.js'
import { rowByLogin, userOf } from './account-rows.js'
import type { Database } from './database.js'
import { passwordMatches } from './password-hash.js'

/** Proof that a password was right; the hash lets a later step see that it was not changed meanwhile. */
export interface VerifiedUser extends User {
  readonly passwordHash: string
}

/**
 * Takes the same time whether the login exists. Throws `bad_credentials`; and `account_disabled`, but only to somebody who
 * knew the password. Not rate limited: see sign-in-limiter.ts.
 */
export async function verifyPassword(database: Database, login: string, password: string): Promise<VerifiedUser> {
  const row = await rowByLogin(database, login)
  if (!(await passwordMatches(row?.password_hash, password)) || !row) {
    throw new SandlabError('bad_credentials', 'The login or the password is wrong.', {
      hint: 'Look at the keyboard layout and at Caps Lock. An administrator can give you a new password.',
    })
  }
  if (row.disabled) {
    throw new SandlabError('account_disabled', `The account ${row.login} is disabled.`, {
      hint: 'Ask an administrator to enable it.',
    })
  }
  return { ...userOf(row), passwordHash: row.password_hash }
}
