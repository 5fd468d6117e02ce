import { describe, expect, it } from '@jest/globals'
import { ACTIONS, authorize } from './authorize.js'
import type { UserId } from './ids.js'
import { ROLES } from './user.js'

const me = '11111111-1111-4111-8111-111111111111' as UserId // a literal of the right form
const other = '22222222-2222-4222-8222-222222222222' as UserId

describe('authorize', () => {
  it('lets an administrator do everything to everybody', () => {
    for (const action of ACTIONS)
      expect(
        authorize({ userId: me, role: 'administrator' }, action, { ownerId: other, ownerRole: 'administrator' }),
      ).toBe(true)
  })

  it('lets a student touch only what is theirs', () => {
    for (const action of ['node.read', 'node.power', 'node.delete', 'node.console', 'operation.cancel'] as const) {
      expect(authorize({ userId: me, role: 'student' }, action, { ownerId: me, ownerRole: 'student' })).toBe(true)
      expect(authorize({ userId: me, role: 'student' }, action, { ownerId: other, ownerRole: 'student' })).toBe(false)
    }
  })

  it("lets an instructor touch what is students', and nothing of colleagues", () => {
    const can = (ownerRole: (typeof ROLES)[number] | undefined) =>
      authorize({ userId: me, role: 'instructor' }, 'node.power', { ownerId: other, ownerRole })
    expect([can('student'), can('instructor'), can('administrator'), can(undefined)]).toEqual([
      true,
      false,
      false,
      false,
    ])
  })

  it('keeps accounts, audit and settings to administrators', () => {
    for (const action of [
      'user.manage',
      'audit.read',
      'health.readDetails',
      'settings.manage',
      'metrics.read',
    ] as const) {
      expect(ROLES.map((role) => authorize({ userId: me, role }, action))).toEqual([false, false, true])
    }
  })
})
