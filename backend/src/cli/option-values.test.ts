import { describe, expect, it } from '@jest/globals'
import { diskBytes, memoryMib, port, wholeNumber } from './option-values.js'

describe('option values', () => {
  it.each([
    ['512', 512],
    ['512M', 512],
    ['2G', 2048],
    ['1.5 GiB', 1536],
  ])('memory %j is %i MiB', (text, mib) => expect(memoryMib(text)).toBe(mib))

  it.each([
    ['10', 10 * 1024 ** 3],
    ['10G', 10 * 1024 ** 3],
    ['512M', 512 * 1024 ** 2],
  ])('disk %j is %i bytes', (text, bytes) => expect(diskBytes(text)).toBe(bytes))

  it.each(['', 'lots', '-1', '0', '1K', '512 X'])('memory %j is a usage error', (text) => {
    expect(() => memoryMib(text)).toThrow('Give a size like 512M or 2G.')
  })

  it('refuses what is no whole number and no port', () => {
    for (const text of ['', '1.5', '-1', '1e3', 'ten', '99999999999']) expect(() => wholeNumber(text)).toThrow()
    expect(port('65535')).toBe(65_535)
    expect(() => port('65536')).toThrow('at most 65535')
  })
})
