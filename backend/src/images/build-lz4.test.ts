import { describe, expect, it } from '@jest/globals'
import { decodeLz4 } from './build-lz4.js'

const MAGIC = '02214c18'
/** A block that the reference encoder makes of 40 times `a`, then `hello`. */
const block = (hex: string) => {
  const bytes = Buffer.from(hex, 'hex')
  const length = Buffer.alloc(4)
  length.writeUInt32LE(bytes.length)
  return length.toString('hex') + hex
}
const frame = (...blocks: string[]) => Buffer.from(MAGIC + blocks.map(block).join(''), 'hex')

describe('LZ4', () => {
  it('is literals', () => {
    expect(decodeLz4(frame('5068656c6c6f'), 5)?.toString()).toBe('hello')
  })

  it('is matches that overlap what they make', () => {
    // One `a`, a match of 15 + 4 + 20 at distance 1, then literals.
    const packed = frame(`1f6101001450${Buffer.from('hello').toString('hex')}`)
    expect(decodeLz4(packed, 45)?.toString()).toBe('a'.repeat(40) + 'hello')
  })

  it('is literals of more than 15, with more than one byte of length', () => {
    const text = 'x'.repeat(15 + 255 + 3)
    expect(decodeLz4(frame('f0ff03' + Buffer.from(text).toString('hex')), text.length)?.toString()).toBe(text)
  })

  it('is several blocks, of which none sees the one before', () => {
    expect(decodeLz4(frame('1061', '1062'), 2)?.toString()).toBe('ab')
    expect(decodeLz4(frame('1061', '0062001063'), 6)).toBeNull()
  })

  it.each([
    ['another magic number', Buffer.from('00000000', 'hex'), 0],
    ['a block that ends too soon', Buffer.from(`${MAGIC}ff00000010`, 'hex'), 1],
    ['a length that never ends', frame('f0ffff'), 600],
    ['literals that are not there', frame('5068'), 5],
    ['a match before the beginning', frame('10610900506162636465'), 10],
    ['a match at distance nothing', frame('10610000506162636465'), 10],
    ['more than announced', frame('5068656c6c6f'), 4],
    ['less than announced', frame('5068656c6c6f'), 6],
    ['a size that no kernel has', frame('5068656c6c6f'), 0xffffffff],
  ])('is not %s', (_what, packed, size) => {
    expect(decodeLz4(packed, size)).toBeNull()
  })
})
