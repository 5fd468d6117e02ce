import { describe, expect, it } from '@jest/globals'
import { NO_LIMITS } from '@domain/drive.js'
import { limitsForm, limitsWords, readLimits } from './limits.js'

const MIB = 1024 ** 2
const form = { bytes: '', operations: '', burstBytes: '', burstOperations: '' }

describe('the limits of a drive', () => {
  it('are none when nothing is typed', () => {
    expect(readLimits(form)).toEqual({ limits: NO_LIMITS, problems: {} })
  })

  it('are read as sizes and counts', () => {
    const read = readLimits({ bytes: '50 MiB/s', operations: '200', burstBytes: '100M', burstOperations: '400' })
    expect(read).toEqual({
      limits: {
        bytesPerSecond: 50 * MIB,
        operationsPerSecond: 200,
        burstBytesPerSecond: 100 * MIB,
        burstOperationsPerSecond: 400,
      },
      problems: {},
    })
  })

  it.each([
    [{ ...form, bytes: '-1' }, { bytes: 'Write a size such as 50 MiB' }],
    [{ ...form, bytes: '0' }, { bytes: 'Write a size such as 50 MiB' }],
    [{ ...form, operations: '-1' }, { operations: 'Write a whole number' }],
    [{ ...form, operations: '0' }, { operations: 'Write a whole number' }],
    [{ ...form, burstBytes: '1 MiB' }, { burstBytes: 'A burst needs its limit' }],
    [{ ...form, operations: '10', burstOperations: '5' }, { burstOperations: 'A burst is at least its limit' }],
  ])('%j is refused', (typed, problems) => {
    expect(readLimits(typed).problems).toEqual(problems)
  })

  it('come back from the form as they went in', () => {
    const limits = {
      bytesPerSecond: 50 * MIB + 1,
      operationsPerSecond: 7,
      burstBytesPerSecond: 100 * MIB,
      burstOperationsPerSecond: null,
    }
    expect(readLimits(limitsForm(limits))).toEqual({ limits, problems: {} })
  })

  it('read as words', () => {
    expect(limitsWords(NO_LIMITS)).toBeNull()
    expect(limitsWords({ ...NO_LIMITS, bytesPerSecond: 50 * MIB, operationsPerSecond: 200 })).toBe(
      '50.0 MiB/s, 200 operations/s',
    )
  })
})
