import { describe, expect, it } from '@jest/globals'
import { NODE_ACTIONS, NODE_STATUSES, nodeAllows, nodeNameSchema, nodeRefuses } from './node.js'

describe('which action a node allows in which status', () => {
  it('gives a reason exactly when the action is not allowed', () => {
    for (const action of NODE_ACTIONS) {
      for (const status of NODE_STATUSES) {
        expect(nodeAllows(action, status)).toBe(nodeRefuses(action, status) === undefined)
      }
    }
  })

  it('never acts on a node whose host is silent: only records of its drives may change', () => {
    expect(NODE_ACTIONS.filter((action) => nodeAllows(action, 'unknown'))).toEqual(['changeDrives'])
  })

  it('says what to do with a suspended node instead of what does not fit its memory', () => {
    const refused = NODE_ACTIONS.filter((action) => !nodeAllows(action, 'suspended'))
    expect(refused).toEqual([
      'stop',
      'restart',
      'suspend',
      'changeResources',
      'console',
      'clone',
      'snapshot',
      'reset',
      'changeDrives',
      'growDrive',
    ])
    for (const action of refused.filter((one) => one !== 'suspend')) {
      expect(nodeRefuses(action, 'suspended')).toMatch(/while it is suspended\. .*[Ss]tart it/)
    }
  })

  it('refuses to delete what runs, with the advice to stop it', () => {
    expect(nodeRefuses('delete', 'running')).toBe("The node can't be deleted while it is running. Stop it first.")
  })
})

describe('a node name', () => {
  it.each(['web', 'web-01', 'a', '0', 'a'.repeat(63)])('may be %s', (name) =>
    expect(nodeNameSchema.safeParse(name).success).toBe(true),
  )
  it.each(['', '-a', 'a-', 'A', 'a_b', 'a.b', 'a'.repeat(64), 'a\n', '../x'])('may not be %j', (name) =>
    expect(nodeNameSchema.safeParse(name).success).toBe(false),
  )
})
