import { describe, expect, it } from '@jest/globals'
import { elfKernelIn } from './build-kernel.js'

const NOTE = '04000000080000001200000058656e00'
const ELF = Buffer.from('7f454c46', 'hex')

/** A bzImage of protocol 2.15 whose payload is one LZ4 block of literals. */
function bzImage(kernel: Buffer, changes: { magic?: number; version?: number; size?: number } = {}): Buffer {
  const block = Buffer.concat([Buffer.from([kernel.length < 15 ? kernel.length << 4 : 0xf0]), rest(kernel), kernel])
  const payload = Buffer.concat([u32(changes.magic ?? 0x184c2102), u32(block.length), block])
  const image = Buffer.alloc(1024 + 16)
  image.writeUInt8(1, 0x1f1)
  image.write('HdrS', 0x202, 'latin1')
  image.writeUInt16LE(changes.version ?? 0x20f, 0x206)
  image.writeUInt32LE(16, 0x248)
  image.writeUInt32LE(payload.length + 4, 0x24c)
  return Buffer.concat([image, payload, u32(changes.size ?? kernel.length)])
}

const rest = (kernel: Buffer) => (kernel.length < 15 ? Buffer.alloc(0) : Buffer.from([kernel.length - 15]))

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

describe('the kernel in a bzImage', () => {
  const kernel = Buffer.concat([ELF, Buffer.alloc(20), Buffer.from(NOTE, 'hex'), Buffer.from('entry')])

  it('is unpacked when QEMU can start it without', () => {
    expect(elfKernelIn(bzImage(kernel))).toEqual(kernel)
  })

  it.each([
    ['has no entry for QEMU', bzImage(ELF)],
    ['is no ELF file', bzImage(kernel.subarray(4))],
    ['is packed in another way', bzImage(kernel, { magic: 0xfd2fb528 })],
    ['does not say where it is', bzImage(kernel, { version: 0x207 })],
    ['has another size', bzImage(kernel, { size: kernel.length + 1 })],
    ['is cut off', bzImage(kernel).subarray(0, -30)],
    ['is no bzImage', ELF],
  ])('stays packed when it %s', (_what, image) => {
    expect(elfKernelIn(image)).toBeNull()
  })
})
