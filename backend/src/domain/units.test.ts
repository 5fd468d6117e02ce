import { describe, expect, it } from '@jest/globals'
import { formatBytes, formatDuration, parseBytes } from './units.js'

describe('units', () => {
  it('shows sizes with one decimal, in powers of 1024', () => {
    expect([0, 1023, 1024, 1536 * 1024 ** 2, 5 * 1024 ** 4].map(formatBytes)).toEqual([
      '0 B',
      '1023 B',
      '1.0 KiB',
      '1.5 GiB',
      '5.0 TiB',
    ])
  })

  it('reads what people write, and nothing else', () => {
    expect(['10G', '512MiB', '1.5 GiB', '42', '1k'].map(parseBytes)).toEqual([
      10 * 1024 ** 3,
      512 * 1024 ** 2,
      1.5 * 1024 ** 3,
      42,
      1024,
    ])
    expect(['', '-1G', '1X', 'ten', '1e9', '1 G B'].map(parseBytes)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ])
  })

  it('shows durations in the unit that fits', () => {
    expect([93, 2200, 190_000, 7_200_000].map(formatDuration)).toEqual(['93 ms', '2.2 s', '3 min', '2 h'])
  })
})
