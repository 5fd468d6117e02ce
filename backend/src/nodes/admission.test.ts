import { describe, expect, it } from '@jest/globals'
import { isSandlabError } from '../domain/error.js'
import { admit, roomLeft } from './admission.js'

const capacity = { hostCpus: 2, hostMemoryMib: 8192, freeMemoryMib: 8000 }
const rules = { cpuOvercommit: 4, memoryOvercommit: 1, memoryReserveMib: 1024 }

describe('admission', () => {
  it('lets a node start that fits exactly', () => {
    expect(() => admit('web', { cpus: 8, memoryMib: 7168 }, capacity, rules, [])).not.toThrow()
  })

  it('counts what running nodes were promised, not what they use', () => {
    expect(roomLeft(capacity, rules, [{ cpus: 3, memoryMib: 6000 }])).toEqual({ cpusLeft: 5, memoryLeftMib: 1168 })
  })

  it('looks at the memory that is free now as well', () => {
    expect(roomLeft({ ...capacity, freeMemoryMib: 900 }, rules, []).memoryLeftMib).toBe(388)
  })

  it('refuses with the figures and with what would fit', () => {
    try {
      admit('web', { cpus: 1, memoryMib: 2048 }, capacity, rules, [{ cpus: 1, memoryMib: 6000 }])
      throw new Error('was admitted')
    } catch (error) {
      if (!isSandlabError(error, 'no_capacity')) throw error
      expect(error.message).toContain('it needs 2048 MiB of memory, 1168 MiB are left')
      expect(error.hint).toContain('at most 1168 MiB and 7 vCPUs')
      expect(error.details).toMatchObject({ available: { cpus: 7, memoryMib: 1168 } })
    }
  })

  it('says to stop a node when nothing useful would fit', () => {
    expect(() => admit('web', { cpus: 9, memoryMib: 64 }, capacity, rules, [])).toThrow(/9 vCPUs, 8 are left/)
    expect(roomLeft(capacity, rules, [{ cpus: 99, memoryMib: 99_999 }])).toEqual({ cpusLeft: 0, memoryLeftMib: 0 })
  })
})
