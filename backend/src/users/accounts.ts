import type { UserId } from '../domain/ids.js'
import type { Layout } from '../domain/layout.js'
import type { CreateUser, UpdateUser, User } from '../domain/user.js'
import { formerId, insertUser, newUserRow, noSuchAccount, rowById, rowByLogin, userOf } from './account-rows.js'
import { endCredentials, updateUser } from './account-update.js'
import type { Database } from './database.js'
import { ensureFirstAdministrator, forgetFirstLogin } from './first-administrator.js'
import { hashPassword } from './password-hash.js'
import { generatePassword, requireGoodPassword } from './password-rules.js'
import type { Revocation } from './revocations.js'
import { verifyPassword, type VerifiedUser } from './verify-password.js'

export interface Accounts {
  /** By login. */
  list(): Promise<User[]>
  /** Throws `not_found`. */
  get(id: UserId): Promise<User>
  findByLogin(login: string): Promise<User | undefined>
  /**
   * Without a password one is generated and returned, once. The id is the given one, else that of an account of this
   * login which was lost with the database, so that its nodes are its again. Throws `name_taken`, `weak_password`,
   * `bad_request`.
   */
  create(
    input: CreateUser,
    options?: { mustChangePassword?: boolean; id?: UserId },
  ): Promise<{ user: User; password: string | null }>
  /**
   * Name, role, disabled. Disabling ends all sessions and tokens; another role ends the sessions (tokens carry the new
   * role at once). Throws `not_found`, `bad_request`, and `last_administrator` when nobody could administrate any more.
   */
  update(id: UserId, change: UpdateUser): Promise<User>
  /**
   * Ends all sessions and tokens but `keepCredentialId`, in the same transaction. Throws `not_found`, `weak_password`.
   */
  setPassword(
    id: UserId,
    password: string,
    options: { mustChange: boolean; keepCredentialId: string | null },
  ): Promise<User>
  /** A new generated one, to be changed at the next sign-in; all sessions and tokens end. Throws `not_found`. */
  resetPassword(id: UserId): Promise<{ user: User; password: string }>
  /** See verify-password.ts: throws `bad_credentials`, `account_disabled`. */
  verifyPassword(login: string, password: string): Promise<VerifiedUser>
  /**
   * On an empty database: makes `admin` with a generated password. Both are in firstLoginFile (0600, JSON) before the
   * account exists, so that no crash can lose the password; the file goes when that password is changed. Else null.
   */
  ensureFirstAdministrator(): Promise<{ login: string; password: string } | null>
}

export function createAccounts(database: Database, options: { layout?: Layout; now?: () => Date } = {}): Accounts {
  const now = options.now ?? (() => new Date())
  const tell = (ended: Revocation[]) => ended.forEach((one) => database.revocations.publish(one))

  async function changePassword(
    id: UserId,
    password: string,
    change: { mustChange: boolean; keepCredentialId: string | null },
  ): Promise<User> {
    const passwordHash = await hashPassword(password)
    const { row, ended } = await database.sql.transaction().execute(async (transaction) => {
      const row = await transaction
        .updateTable('users')
        .set({ password_hash: passwordHash, must_change_password: change.mustChange })
        .where('id', '=', id)
        .returningAll()
        .executeTakeFirst()
      if (!row) return noSuchAccount(id)
      const ended = [
        ...(await endCredentials(transaction, 'sessions', id, change.keepCredentialId)),
        ...(await endCredentials(transaction, 'tokens', id, change.keepCredentialId)),
      ]
      return { row, ended }
    })
    tell(ended)
    if (options.layout) await forgetFirstLogin(options.layout, row.login)
    return userOf(row)
  }

  return {
    async list() {
      const rows = await database.sql.selectFrom('users').selectAll().orderBy('login').execute()
      return rows.map(userOf)
    },
    get: async (id) => userOf(await rowById(database, id)),
    async findByLogin(login) {
      const row = await rowByLogin(database, login)
      return row && userOf(row)
    },
    async create(input, { mustChangePassword = true, id } = {}) {
      if (input.password !== undefined) requireGoodPassword(input.login, input.password)
      const password = input.password ?? generatePassword()
      const row = newUserRow(input, await hashPassword(password), mustChangePassword, now())
      const known = id ?? (await formerId(database, options.layout, input.login))
      if (known !== undefined) row.id = known
      await insertUser(database.sql, row)
      return { user: userOf(row), password: input.password === undefined ? password : null }
    },
    async update(id, change) {
      const { user, ended } = await updateUser(database, id, change)
      tell(ended)
      return user
    },
    async setPassword(id, password, change) {
      requireGoodPassword((await rowById(database, id)).login, password)
      return changePassword(id, password, change)
    },
    async resetPassword(id) {
      await rowById(database, id)
      const password = generatePassword()
      return { user: await changePassword(id, password, { mustChange: true, keepCredentialId: null }), password }
    },
    verifyPassword: (login, password) => verifyPassword(database, login, password),
    ensureFirstAdministrator: () => ensureFirstAdministrator(database, options.layout, now()),
  }
}
