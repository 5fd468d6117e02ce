import { userIdSchema } from '../../src/domain/ids.js'
import type { User } from '../../src/domain/user.js'
import type { MigrationAccounts } from '../../src/migration/accounts.js'
import type { PlannedAccount } from '../../src/migration/accounts-plan.js'

/** Who is an administrator in these tests. */
export const ADMIN = userIdSchema.parse('6f1f7d0e-6a55-4f1e-8f5c-0d8d3f1a0001')

export interface FakeAccounts extends MigrationAccounts {
  made: PlannedAccount[]
  takenBack: boolean
}

/** An administrator, and who is made besides. */
export function fakeAccounts(): FakeAccounts {
  const user = (id: User['id'], login: string, role: User['role']): User => ({
    id,
    login,
    displayName: '',
    role,
    disabled: false,
    mustChangePassword: false,
    createdAt: '2026-11-21T00:00:00.000Z',
    lastSignInAt: null,
  })
  const accounts: FakeAccounts = {
    made: [],
    takenBack: false,
    list: async () => [
      user(ADMIN, 'admin', 'administrator'),
      ...accounts.made.map(({ id, login, old }) => user(id, login, old.role)),
    ],
    async make(planned, keep) {
      const coming = planned.filter(({ action }) => action === 'make')
      const passwords = coming.map(({ login }) => ({ login, password: `once for ${login}` }))
      if (coming.length > 0) await keep(passwords)
      accounts.made.push(...coming)
      return {
        passwords,
        async takeBack() {
          accounts.made.splice(0)
          accounts.takenBack = true
        },
      }
    },
  }
  return accounts
}
