import { describe, expect, it } from '@jest/globals'
import { readRecovery } from './recovery.js'

describe('what the last start found', () => {
  it('is a line for each way that it ended', () => {
    const { opening, endings } = readRecovery(
      'The former process left something half done; it was looked at in 12 ms: 2 finished: Create web, Clone db; ' +
        '1 not ended: Clone ftp (no room; try again).',
    )
    expect(opening).toBe('The former process left something half done; it was looked at in 12 ms.')
    expect(endings).toEqual(['2 finished: Create web, Clone db', '1 not ended: Clone ftp (no room; try again)'])
  })

  it('is shown as it is when it says something else', () => {
    expect(readRecovery('Nothing was half done.')).toEqual({ opening: 'Nothing was half done.', endings: [] })
  })
})
