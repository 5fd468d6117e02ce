import { open } from 'node:fs/promises'
import { SandlabError } from '../domain/error.js'
import type { User } from '../domain/user.js'
import { fsyncDirectory } from '../system/durable-file.js'
import type { Accounts } from '../users/accounts.js'
import type { Database } from '../users/database.js'
import { generatePassword } from '../users/password-rules.js'
import type { PlannedAccount } from './accounts-plan.js'

/** The lab's accounts, as far as a migration needs them. */
export interface MigrationAccounts {
  list(): Promise<User[]>
  /** Makes those that are to be made, all or none, each with a one-time password that `keep` has before the account exists. */
  make(
    planned: readonly PlannedAccount[],
    keep: (made: { login: string; password: string }[]) => Promise<void>,
  ): Promise<{ passwords: { login: string; password: string }[]; takeBack(): Promise<void> }>
}

export function migrationAccounts(accounts: Accounts, database: Database): MigrationAccounts {
  const takeBack = async (ids: readonly string[]) => {
    if (ids.length > 0) await database.sql.deleteFrom('users').where('id', 'in', ids).execute()
  }
  return {
    async list() {
      await accounts.ensureFirstAdministrator() // a lab that was never started has none yet
      return accounts.list()
    },
    async make(planned, keep) {
      const coming = planned.filter(({ action }) => action === 'make')
      const passwords = coming.map(({ login }) => ({ login, password: generatePassword() }))
      if (coming.length > 0) await keep(passwords)
      const made: string[] = []
      try {
        for (const [index, { login, id, old }] of coming.entries()) {
          const password = passwords[index]?.password ?? generatePassword()
          const displayName = old.email.replaceAll(/[^\x20-\x7e]/g, '').slice(0, 80)
          await accounts.create({ login, displayName, role: old.role, password }, { mustChangePassword: true, id })
          made.push(id)
          if (old.disabled) await accounts.update(id, { disabled: true })
        }
      } catch (error) {
        await takeBack(made)
        throw error
      }
      return { passwords, takeBack: () => takeBack(made) }
    },
  }
}

/** Without a database nobody can own a node. */
export function needsOwner(): SandlabError {
  return new SandlabError('not_found', 'There is no account that could own the old nodes.', {
    hint: 'Name one that exists with --owner LOGIN. Nothing was touched.',
  })
}

/** For the one who runs the migration: mode 0600, on the disk before any account exists. */
export async function writeSecretly(path: string, folder: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await fsyncDirectory(folder)
}
