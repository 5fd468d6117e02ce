import { randomUUID } from 'node:crypto'
import type { Kysely, Selectable } from 'kysely'
import { SandlabError } from '../domain/error.js'
import type { UserId } from '../domain/ids.js'
import type { Layout } from '../domain/layout.js'
import { loginSchema, type CreateUser, type User } from '../domain/user.js'
import { formerIdOf } from '../state/owners.js'
import type { Database } from './database.js'
import type { Tables, UsersTable } from './tables.js'
import { isUuid, requirePlainText } from './text.js'

export type UserRow = Selectable<UsersTable>

/** Throws `not_found`. */
export async function rowById(database: Database, id: string): Promise<UserRow> {
  if (!isUuid(id)) return noSuchAccount(id)
  const row = await database.sql.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst()
  return row ?? noSuchAccount(id)
}

export async function rowByLogin(database: Database, login: string): Promise<UserRow | undefined> {
  // People's keyboards write a capital at the start of a line; logins have none.
  const known = loginSchema.safeParse(login.trim().toLowerCase())
  if (!known.success) return undefined
  return database.sql.selectFrom('users').selectAll().where('login', '=', known.data).executeTakeFirst()
}

/** Throws `bad_request` for a display name that can't be shown. */
export function newUserRow(input: CreateUser, passwordHash: string, mustChangePassword: boolean, at: Date): UserRow {
  return {
    id: randomUUID(),
    login: input.login,
    display_name: requirePlainText('display name', input.displayName),
    role: input.role,
    disabled: false,
    must_change_password: mustChangePassword,
    password_hash: passwordHash,
    created_at: at,
    last_sign_in_at: null,
  }
}

/** What `overlays/owners.json` knows of an account that was lost; undefined when it knows none. */
export async function formerId(
  database: Pick<Database, 'sql'>,
  layout: Layout | undefined,
  login: string,
): Promise<UserId | undefined> {
  if (!layout) return undefined
  return formerIdOf(layout, login, async (id) => {
    const row = await database.sql.selectFrom('users').select('id').where('id', '=', id).executeTakeFirst()
    return row !== undefined
  })
}

/** Throws `name_taken`. */
export async function insertUser(sql: Kysely<Tables>, row: UserRow): Promise<void> {
  const inserted = await sql
    .insertInto('users')
    .values(row)
    .onConflict((conflict) => conflict.column('login').doNothing())
    .returning('id')
    .executeTakeFirst()
  if (inserted) return
  throw new SandlabError('name_taken', `There is already an account with the login ${row.login}.`, {
    hint: 'Take another login.',
    details: { login: row.login },
  })
}

export function userOf(row: UserRow): User {
  return {
    id: row.id as UserId, // the column is a uuid that we made
    login: row.login,
    displayName: row.display_name,
    role: row.role,
    disabled: row.disabled,
    mustChangePassword: row.must_change_password,
    createdAt: row.created_at.toISOString(),
    lastSignInAt: row.last_sign_in_at?.toISOString() ?? null,
  }
}

export function noSuchAccount(id: string): never {
  throw new SandlabError('not_found', `There is no account ${id.slice(0, 64)}.`)
}
