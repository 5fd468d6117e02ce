import { readFile, writeFile } from 'node:fs/promises'
import { kernelFile, type KernelTree } from './build-initrd.js'
import { decodeLz4, LZ4_MAGIC } from './build-lz4.js'

/** Note type by which an ELF kernel names its PVH entry point, where QEMU starts it (xen/include/public/elfnote.h). */
const PVH_NOTE = Buffer.concat([uint32(4), uint32(8), uint32(18), Buffer.from('Xen\0', 'latin1')])

/**
 * The kernel as QEMU starts it soonest: unpacked. A packed one unpacks itself in the guest, which takes half a second
 * where there is no KVM. All nodes share the page cache of the unpacked file, while a packed one is copied into each
 * QEMU. One that we can't unpack, or that has no entry for QEMU, is taken as it is. Returns its path.
 */
export async function unpackKernel(kernel: KernelTree): Promise<string> {
  const packed = kernelFile(kernel)
  const unpacked = elfKernelIn(await readFile(packed))
  if (!unpacked) return packed
  const path = `${packed}.elf`
  await writeFile(path, unpacked)
  return path
}

/** The ELF kernel with a PVH entry in a bzImage (docs.kernel.org/arch/x86/boot.html: payload_offset). Pure. */
export function elfKernelIn(image: Buffer): Buffer | null {
  if (image.length < 0x260 || image.toString('latin1', 0x202, 0x206) !== 'HdrS') return null
  if (image.readUInt16LE(0x206) < 0x208) return null // before 2.08 nothing says where the payload is
  const realModeSectors = image.readUInt8(0x1f1) || 4
  const start = (realModeSectors + 1) * 512 + image.readUInt32LE(0x248)
  const end = start + image.readUInt32LE(0x24c)
  if (end > image.length || end - start < 8 || image.readUInt32LE(start) !== LZ4_MAGIC) return null
  // Its last four bytes are the size when unpacked.
  const elf = decodeLz4(image.subarray(start, end - 4), image.readUInt32LE(end - 4))
  return elf && elf.toString('latin1', 0, 4) === '\x7fELF' && elf.includes(PVH_NOTE) ? elf : null
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
