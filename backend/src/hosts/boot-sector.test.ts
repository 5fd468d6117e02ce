import { describe, expect, it } from '@jest/globals'
import { printingBootSector } from './boot-sector.js'

describe('the probe boot sector', () => {
  it('has the size, the mark and the text that the code points to', () => {
    const sector = printingBootSector('hello')
    expect(sector).toHaveLength(512)
    expect(sector.readUInt16LE(510)).toBe(0xaa55)
    const textAt = sector.readUInt16LE(sector.indexOf(0xbe) + 1) - 0x7c00
    expect(sector.subarray(textAt, textAt + 6).toString('latin1')).toBe('hello\0')
  })

  it('cuts a text that would not fit', () => {
    const sector = printingBootSector('x'.repeat(1000))
    expect(sector).toHaveLength(512)
    expect(sector.readUInt16LE(510)).toBe(0xaa55)
  })
})
