import { describe, expect, it } from '@jest/globals'
import { DISK_FULL, diskErrorInBlocks, diskErrorOf, phaseOfStatus } from './machine-status.js'

describe("QEMU's run state", () => {
  it.each([
    ['running', 'running'],
    ['prelaunch', 'starting'],
    ['inmigrate', 'starting'],
    ['shutdown', 'stopping'],
    ['paused', 'paused'],
    ['io-error', 'paused'],
    ['internal-error', 'paused'],
    ['guest-panicked', 'paused'],
    ['a state of a later QEMU', 'paused'],
  ])('%s is %s', (status, phase) => {
    const seen = phaseOfStatus(status, null)
    expect(seen.phase).toBe(phase)
    expect(seen.reason === null).toBe(phase !== 'paused')
  })

  it('says what the disk of the host has', () => {
    expect(phaseOfStatus('io-error', DISK_FULL).reason).toBe(DISK_FULL)
    expect(diskErrorOf({ operation: 'write', nospace: true, reason: 'No space left on device' })).toBe(DISK_FULL)
    expect(diskErrorOf({ operation: 'read', nospace: false, reason: 'Input/output error' })).toBe(
      "The host's disk failed to read: Input/output error.",
    )
    expect(
      diskErrorInBlocks([
        { device: '', 'io-status': 'ok' },
        { device: '', 'io-status': 'nospace' },
      ]),
    ).toBe(DISK_FULL)
    expect(diskErrorInBlocks([{ device: '', 'io-status': 'failed' }])).toMatch(/failed/)
    expect(diskErrorInBlocks([{ device: '' }])).toBeNull()
  })
})
