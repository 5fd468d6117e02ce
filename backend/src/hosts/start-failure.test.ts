import { describe, expect, it } from '@jest/globals'
import { EngineError } from './engine.js'
import { startFailure } from './start-failure.js'

const ended = new EngineError('engine', 'QEMU ended at once (exit code 1).')

describe('a failed start', () => {
  it.each([
    ['qemu: Failed to get "write" lock\nIs another process using the image?', 'locked'],
    ['qemu: could not write: No space left on device', 'no-space'],
    ["qemu: cannot set up guest memory 'pc.ram': Cannot allocate memory", 'no-capacity'],
    ['Could not access KVM kernel module: failed to initialize kvm: Permission denied', 'engine'],
    ['qemu: something new', 'engine'],
  ])('with %j is %s and has the words of QEMU', (log, code) => {
    const failure = startFailure(ended, log)
    expect(failure.code).toBe(code)
    expect(failure.message).toContain(log)
  })

  it('keeps its own code when QEMU said nothing', () => {
    expect(startFailure(new EngineError('timeout', 'Too slow.', { retry: true }), '')).toMatchObject({
      code: 'timeout',
      message: 'Too slow.',
      retry: true,
    })
  })
})
