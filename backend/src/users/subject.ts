import type { UserId } from '../domain/ids.js'
import type { Role, Subject } from '../domain/user.js'

/** The one place where a row of `users` beside its credential becomes a Subject. */
export function subjectOf(
  row: { id: string; user_id: string; login: string; role: Role; must_change_password: boolean },
  kind: Subject['kind'],
): Subject {
  return {
    userId: row.user_id as UserId, // the column is a uuid that we made
    login: row.login,
    role: row.role,
    credentialId: row.id,
    kind,
    mustChangePassword: row.must_change_password,
  }
}
