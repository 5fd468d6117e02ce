import { describe, expect, it } from '@jest/globals'
import { changedDisk } from './suspended-disks.js'

const mark = (driveId: string, sizeBytes = 1000, mtimeMs = 5000.25) => ({ driveId, sizeBytes, mtimeMs })

describe('disks beside a memory that was saved', () => {
  it('are the same by length and whole seconds, as a plain copy of the folders keeps them', () => {
    expect(
      changedDisk([mark('root'), mark('data')], [mark('data', 1000, 5000), mark('root', 1000, 5999)]),
    ).toBeUndefined()
  })

  it.each([
    ['its disk', [mark('root', 1001), mark('data')]],
    ['its disk', [mark('root', 1000, 6000), mark('data')]],
    ['its drive data', [mark('root')]],
    ['its drive more', [mark('root'), mark('data'), mark('more')]],
  ])('have changed: %s', (which, now) => {
    expect(changedDisk([mark('root'), mark('data')], now)).toBe(which)
  })
})
