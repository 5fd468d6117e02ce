import type { User } from '../domain/user.js'

/**
 * Who is who, in memory: every node view needs its owner's name and role, and the nodes go on while the database is
 * away. Whoever changes an account tells it.
 */
export interface Directory {
  get(id: string): User | undefined
  /** The earliest administrator that may sign in. */
  firstAdministrator(): User | undefined
  set(user: User): void
  fill(users: User[]): void
}

/** `onChange` hears all of them after each change. */
export function createDirectory(onChange: (users: readonly User[]) => void = () => undefined): Directory {
  const users = new Map<string, User>()
  return {
    get: (id) => users.get(id),
    firstAdministrator: () =>
      [...users.values()]
        .filter((user) => user.role === 'administrator' && !user.disabled)
        .toSorted((a, b) => a.createdAt.localeCompare(b.createdAt))[0],
    set(user) {
      users.set(user.id, user)
      onChange([...users.values()])
    },
    fill(all) {
      users.clear()
      for (const user of all) users.set(user.id, user)
      onChange(all)
    },
  }
}
