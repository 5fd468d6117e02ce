import { describe, expect, it } from '@jest/globals'
import { userIdSchema } from '../domain/ids.js'
import type { Role, User } from '../domain/user.js'
import { planAccounts } from './accounts-plan.js'
import type { OldUser } from './old-records.js'

const idOf = (number: number) => `6f1f7d0e-6a55-4f1e-8f5c-0d8d3f1a000${number}`
const old = (number: number, email: string, role: Role = 'student'): OldUser => ({
  oldId: String(number),
  id: idOf(number),
  email,
  role,
  disabled: false,
  source: 'old.sql',
})
const user = (number: number, login: string, role: Role): User => ({
  id: userIdSchema.parse(idOf(number)),
  login,
  displayName: '',
  role,
  disabled: false,
  mustChangePassword: false,
  createdAt: `2026-11-2${number}T00:00:00.000Z`,
  lastSignInAt: null,
})

describe('old accounts', () => {
  it('never get the login of somebody else, whose nodes they would be given', () => {
    const plan = planAccounts(
      [old(1, 'ann@a.example'), old(2, 'Ann@b.example')],
      [user(9, 'ann', 'instructor')],
      undefined,
    )
    expect(plan.accounts.map(({ login, action }) => [login, action])).toEqual([
      ['ann-2', 'make'],
      ['ann-3', 'make'],
    ])
    expect(plan.ownerOf('1')).toEqual({ id: idOf(1), login: 'ann-2' })
  })

  it('are known again by their ids', () => {
    const plan = planAccounts([old(1, 'ann@a.example')], [user(1, 'annabel', 'student')], undefined)
    expect(plan.accounts).toMatchObject([{ login: 'annabel', action: 'here' }])
  })

  it('of administrators are those of that login, since they see all nodes anyway', () => {
    const plan = planAccounts(
      [old(1, 'admin@old.example', 'administrator')],
      [user(8, 'admin', 'administrator')],
      undefined,
    )
    expect(plan.accounts).toMatchObject([{ id: idOf(8), action: 'here' }])
    const student = planAccounts([old(1, 'admin@old.example')], [user(8, 'admin', 'administrator')], undefined)
    expect(student.accounts).toMatchObject([{ login: 'admin-2', action: 'make' }])
  })

  it('leave nodes without an owner to the first administrator, or to the one that was named', () => {
    const present = [user(3, 'zoe', 'administrator'), user(2, 'bea', 'administrator'), user(1, 'tom', 'instructor')]
    expect(planAccounts([], present, undefined).ownerOf(null).login).toBe('bea')
    expect(planAccounts([], present, 'tom').ownerOf('unknown').id).toBe(idOf(1))
    expect(planAccounts([], present, 'nobody')).toMatchObject({ warnings: ['There is no account nobody.'] })
  })
})
