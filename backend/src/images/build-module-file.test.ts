import { describe, expect, it } from '@jest/globals'
import { withoutTypes } from './build-module-file.js'

/** An ELF header, the names of the sections at 64, and after them the header of the section that holds them. */
function module(names: string, signature = ''): Buffer {
  const table = Buffer.from(names, 'latin1')
  const header = Buffer.alloc(64)
  header.write('\x7fELF\x02', 'latin1')
  header.writeBigUInt64LE(BigInt(64 + table.length), 0x28)
  header.writeUInt16LE(64, 0x3a)
  const section = Buffer.alloc(64)
  section.writeBigUInt64LE(64n, 0x18)
  section.writeBigUInt64LE(BigInt(table.length), 0x20)
  return Buffer.concat([header, table, section, Buffer.from(signature, 'latin1')])
}

const SIGNATURE = `signed${'\0'.repeat(8)}\0\0\0\x06~Module signature appended~\n`

describe('a kernel module for the initial RAM disk', () => {
  it('hides its types, and has no signature that would no longer fit', () => {
    expect(withoutTypes(module('\0.text\0.BTF\0.BTF_ids\0', SIGNATURE))).toEqual(module('\0.text\0.btf\0.BTF_ids\0'))
  })

  it('hides its types when it is not signed', () => {
    expect(withoutTypes(module('\0.BTF\0'))).toEqual(module('\0.btf\0'))
  })

  it.each([
    ['has no types', module('\0.text\0.BTF_ids\0', SIGNATURE)],
    ['is no ELF file', Buffer.alloc(200, '\0.BTF\0')],
    ['is packed', Buffer.from('fd377a585a00', 'hex')],
    ['is cut off', module('\0.BTF\0').subarray(0, 70)],
  ])('stays as it is when it %s', (_what, file) => {
    expect(withoutTypes(file)).toBe(file)
  })
})
