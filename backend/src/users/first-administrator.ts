import { readFile, rm } from 'node:fs/promises'
import { sql } from 'kysely'
import { firstLoginFile, type Layout } from '../domain/layout.js'
import type { CreateUser } from '../domain/user.js'
import { errnoOf, writeFileDurably } from '../system/durable-file.js'
import { formerId, insertUser, newUserRow } from './account-rows.js'
import type { Database } from './database.js'
import { hashPassword } from './password-hash.js'
import { generatePassword } from './password-rules.js'

const FIRST_LOGIN = 'admin'
/** Any number that nothing else of ours uses: two backends on one empty database make one administrator. */
const FIRST_ADMINISTRATOR_LOCK = 7_264_001

/** See Accounts.ensureFirstAdministrator. */
export async function ensureFirstAdministrator(database: Database, layout: Layout | undefined, at: Date) {
  const password = generatePassword()
  const passwordHash = await hashPassword(password)
  return database.sql.transaction().execute(async (transaction) => {
    await sql`select pg_advisory_xact_lock(${FIRST_ADMINISTRATOR_LOCK})`.execute(transaction)
    const anybody = await transaction.selectFrom('users').select('id').limit(1).executeTakeFirst()
    if (anybody) return null
    const first = { login: FIRST_LOGIN, password }
    const input: CreateUser = { login: FIRST_LOGIN, displayName: 'Administrator', role: 'administrator' }
    const row = newUserRow(input, passwordHash, true, at)
    const known = await formerId({ sql: transaction }, layout, FIRST_LOGIN)
    if (known !== undefined) row.id = known
    await insertUser(transaction, row)
    if (layout) await writeFileDurably(firstLoginFile(layout), `${JSON.stringify(first)}\n`)
    return first
  })
}

/** The file is for one account; somebody else's new password leaves it. */
export async function forgetFirstLogin(layout: Layout, login: string): Promise<void> {
  const file = firstLoginFile(layout)
  try {
    if (!(await readFile(file, 'utf8')).includes(`"login":${JSON.stringify(login)}`)) return
    await rm(file, { force: true })
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}
