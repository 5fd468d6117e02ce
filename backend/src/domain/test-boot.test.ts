import { expect, it } from '@jest/globals'
import { OPERATION_STATES } from './operation.js'
import { testBootSchema, testBootState } from './test-boot.js'

it('is pending exactly while its operation runs, and a success only when that succeeded', () => {
  expect(Object.fromEntries(OPERATION_STATES.map((state) => [state, testBootState(state)]))).toEqual({
    running: 'pending',
    succeeded: 'success',
    failed: 'failure',
    cancelled: 'failure',
    lost: 'failure',
  })
})

it.each([
  ['nothing', {}],
  ['two things', { nodeId: '11111111-2222-4333-8444-555555555555', path: '/overlays/x.qcow2' }],
])('refuses to boot %s', (_, request) => {
  expect(testBootSchema.safeParse(request).success).toBe(false)
})
