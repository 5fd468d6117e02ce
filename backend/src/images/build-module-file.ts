const SIGNATURE_MARK = Buffer.from('~Module signature appended~\n', 'latin1')
/** struct module_signature: its last four bytes are the signature's length, big endian (include/linux/module_signature.h). */
const SIGNATURE_INFO_BYTES = 12
const TYPES = Buffer.from('\0.BTF\0', 'latin1')
const HIDDEN = Buffer.from('\0.btf\0', 'latin1')

/**
 * A kernel module whose type information (BTF) the kernel does not find, and which for that has no signature any more.
 * The first module with types makes the kernel read its own four megabytes of them, which only tracing wants: a tenth of
 * a boot without KVM. Debian's kernel takes modules without a signature, and notes it (`E` in /proc/sys/kernel/tainted).
 * A file that is no 64-bit ELF is given back as it is. Pure.
 */
export function withoutTypes(module: Buffer): Buffer {
  if (module.length < 64 || module.toString('latin1', 0, 5) !== '\x7fELF\x02') return module
  const unsigned = Buffer.from(withoutSignature(module))
  const names = sectionNames(unsigned)
  const at = names?.indexOf(TYPES) ?? -1
  if (!names || at < 0) return module
  HIDDEN.copy(names, at)
  return unsigned
}

function withoutSignature(module: Buffer): Buffer {
  const mark = module.length - SIGNATURE_MARK.length
  if (mark < SIGNATURE_INFO_BYTES || !module.subarray(mark).equals(SIGNATURE_MARK)) return module
  const end = mark - SIGNATURE_INFO_BYTES - module.readUInt32BE(mark - 4)
  return end < 0 ? module : module.subarray(0, end)
}

/** The string table of the section names (elf(5)): a view into the file. */
function sectionNames(elf: Buffer): Buffer | null {
  const header = Number(elf.readBigUInt64LE(0x28)) + elf.readUInt16LE(0x3e) * elf.readUInt16LE(0x3a)
  if (header + 64 > elf.length) return null
  const start = Number(elf.readBigUInt64LE(header + 0x18))
  const end = start + Number(elf.readBigUInt64LE(header + 0x20))
  return end > elf.length ? null : elf.subarray(start, end)
}
