import { describe, expect, it } from '@jest/globals'
import { parseBytes } from '@domain/units.js'
import { formatExactSize, formatMemory, formatSize } from './size.js'

describe('sizes', () => {
  it('are GiB with one decimal, and smaller units before they would read 0.0', () => {
    expect(formatSize(10 * 1024 ** 3)).toBe('10.0 GiB')
    expect(formatSize(1.25 * 1024 ** 3)).toBe('1.3 GiB')
    expect(formatSize(41 * 1024 ** 2)).toBe('41 MiB')
    expect(formatSize(1.5 * 1024 ** 2)).toBe('1.5 MiB')
    expect(formatSize(2210)).toBe('2 KiB')
    expect(formatSize(12)).toBe('12 B')
    expect(formatSize(2 * 1024 ** 4)).toBe('2048.0 GiB')
  })

  it('can be typed back without loss', () => {
    for (const mib of [64, 96, 256, 1000, 1024, 1536, 2000, 40 * 1024]) {
      expect(parseBytes(formatExactSize(mib * 1024 ** 2))).toBe(mib * 1024 ** 2)
    }
    expect(formatExactSize(256 * 1024 ** 2)).toBe('256 MiB')
    expect(formatExactSize(1.5 * 1024 ** 3)).toBe('1.5 GiB')
  })

  it('show memory as people say it', () => {
    expect(formatMemory(96)).toBe('96 MiB')
    expect(formatMemory(1536)).toBe('1.5 GiB')
  })
})
