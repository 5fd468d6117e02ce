import { userIdSchema, type UserId } from '../domain/ids.js'
import type { User } from '../domain/user.js'
import { freeName, loginOf } from './names.js'
import type { OldUser } from './old-records.js'

export interface PlannedAccount {
  old: OldUser
  id: UserId
  login: string
  action: 'make' | 'here'
}

interface Owner {
  id: UserId | null
  /** Null: the first administrator, whoever that is. */
  login: string | null
}

export interface AccountsPlan {
  accounts: PlannedAccount[]
  /** Who owns the nodes of an old account. */
  ownerOf(oldUserId: string | null): Owner
  warnings: string[]
}

/**
 * Who is who here. An old account keeps its id, by which it is known when it is asked again; a login that somebody else
 * has gets a number, so that nobody is given another one's nodes. Only an administrator's may go to an administrator of
 * that login: they see all nodes anyway. `present` is null when the database was not asked. Pure.
 */
export function planAccounts(
  users: readonly OldUser[],
  present: readonly User[] | null,
  wishedOwner: string | undefined,
): AccountsPlan {
  const known = present ?? []
  const logins = new Set(known.map(({ login }) => login))
  const accounts: PlannedAccount[] = []
  for (const old of differentUsers(users)) {
    const login = loginOf(old.email)
    const same = known.find(({ id }) => id === old.id)
    const alike = known.find((user) => user.login === login)
    if (same) accounts.push({ old, id: same.id, login: same.login, action: 'here' })
    else if (alike?.role === 'administrator' && old.role === 'administrator') {
      accounts.push({ old, id: alike.id, login, action: 'here' })
    } else {
      const free = freeName(login, (taken) => logins.has(taken), 32)
      logins.add(free)
      accounts.push({ old, id: userIdSchema.parse(old.id), login: free, action: 'make' })
    }
  }
  const fallback = defaultOwner(known, wishedOwner)
  const warnings =
    present && wishedOwner !== undefined && fallback.id === null ? [`There is no account ${wishedOwner}.`] : []
  return {
    accounts,
    warnings,
    ownerOf(oldUserId) {
      const owner = accounts.find(({ old }) => old.oldId === oldUserId)
      return owner ? { id: owner.id, login: owner.login } : fallback
    },
  }
}

function defaultOwner(known: readonly User[], wished: string | undefined): Owner {
  if (wished !== undefined) return { id: known.find(({ login }) => login === wished)?.id ?? null, login: wished }
  const first = known
    .filter(({ role, disabled }) => role === 'administrator' && !disabled)
    .toSorted((a, b) => a.createdAt.localeCompare(b.createdAt))[0]
  return { id: first?.id ?? null, login: first?.login ?? null }
}

function differentUsers(users: readonly OldUser[]): OldUser[] {
  return [...new Map(users.map((user) => [user.id, user])).values()]
}
