import type { SandlabError } from '../domain/error.js'
import { refused } from './refusal.js'

/** How a kind of file is recognised, and what is said about it. */
interface ForeignFormat {
  name: string
  matches(head: Buffer, tail: Buffer): boolean
  why: string
  hint: string
}

const MAY_NAME_OTHERS = 'Such a file can name other files of this server as its data, so it is never opened here.'
const DEEP_FORMAT = 'Its many features are not checked here, so it is never opened.'
const UNPACK = 'Unpack it first and give the disk image inside.'
const convertFrom = (format: string) =>
  `On your own machine run \`qemu-img convert -f ${format} -O qcow2 OLD NEW.qcow2\` and give the new file.`

const text = (at: number, expected: string) => (head: Buffer) =>
  head.subarray(at, at + expected.length).toString('latin1') === expected
const bytes = (at: number, ...expected: number[]) => {
  const wanted = Buffer.from(expected)
  return (head: Buffer) => head.subarray(at, at + wanted.length).equals(wanted)
}
const atEnd = (distance: number, expected: string) => (_head: Buffer, tail: Buffer) =>
  tail.length >= distance && text(tail.length - distance, expected)(tail)
const either =
  (...tests: ((head: Buffer, tail: Buffer) => boolean)[]) =>
  (head: Buffer, tail: Buffer) =>
    tests.some((test) => test(head, tail))

/**
 * The text file that stands before a VMDK's data and may name any path. QEMU takes a text for one whose first line that
 * is not blank or a comment gives the version. By lines: one expression over all would take exponential time on blanks.
 */
function isVmdkDescriptor(head: Buffer): boolean {
  const lines = head.subarray(0, 8192).toString('latin1').replaceAll('\0', ' ').split('\n')
  const comment = lines.find((line) => line.trim() !== '') ?? ''
  const statement = lines.find((line) => line.trim() !== '' && !line.trimStart().startsWith('#')) ?? ''
  return /^\s*#[^\n]*disk descriptorfile/i.test(comment) || /^\s*version\s*=\s*\d/i.test(statement)
}

const FOREIGN_FORMATS: readonly ForeignFormat[] = [
  {
    name: 'a VMDK disk (VMware)',
    matches: either(text(0, 'KDMV'), text(0, 'COWD'), text(0, 'SE\0\0'), isVmdkDescriptor),
    why: MAY_NAME_OTHERS,
    hint: convertFrom('vmdk'),
  },
  { name: 'a VHDX disk (Hyper-V)', matches: text(0, 'vhdxfile'), why: MAY_NAME_OTHERS, hint: convertFrom('vhdx') },
  {
    name: 'a VHD disk (Virtual PC)',
    // Old fixed disks end in 511 bytes instead of 512.
    matches: either(text(0, 'conectix'), atEnd(512, 'conectix'), atEnd(511, 'conectix')),
    why: DEEP_FORMAT,
    hint: convertFrom('vpc'),
  },
  {
    name: 'a VDI disk (VirtualBox)',
    matches: either(bytes(0x40, 0x7f, 0x10, 0xda, 0xbe), bytes(0x40, 0xbe, 0xda, 0x10, 0x7f), text(0, '<<< ')),
    why: DEEP_FORMAT,
    hint: convertFrom('vdi'),
  },
  { name: 'a QED disk', matches: text(0, 'QED\0'), why: MAY_NAME_OTHERS, hint: convertFrom('qed') },
  {
    name: 'an old QCOW (version 1) disk',
    matches: bytes(0, 0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 1),
    why: MAY_NAME_OTHERS,
    hint: convertFrom('qcow'),
  },
  {
    name: 'an encrypted LUKS volume',
    matches: either(bytes(0, 0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe), bytes(0, 0x53, 0x4b, 0x55, 0x4c, 0xba, 0xbe)),
    why: 'Nobody could open it when a node starts.',
    hint: 'Decrypt it on your own machine and give the plain disk.',
  },
  {
    name: 'a Parallels disk',
    matches: either(text(0, 'WithoutFreeSpace'), text(0, 'WithouFreSpacExt')),
    why: DEEP_FORMAT,
    hint: convertFrom('parallels'),
  },
  { name: 'a Bochs disk', matches: text(0, 'Bochs Virtual HD Image'), why: DEEP_FORMAT, hint: convertFrom('bochs') },
  {
    name: 'a cloop image',
    matches: text(0, '#!/bin/sh\n#V2.0 Format\n'),
    why: DEEP_FORMAT,
    hint: convertFrom('cloop'),
  },
  {
    name: 'a DMG disk (macOS)',
    matches: atEnd(512, 'koly'),
    why: DEEP_FORMAT,
    hint: convertFrom('dmg'),
  },
  {
    name: 'a CD or DVD image (ISO 9660 or UDF)',
    matches: either(text(0x8001, 'CD001'), text(0x8001, 'BEA01'), text(0x8001, 'NSR0')),
    why: 'A base image is the disk of an installed system, not an installation medium.',
    hint: "Install it on your own machine into a qcow2 disk and give that disk, or use the publisher's cloud image.",
  },
  { name: 'compressed with gzip', matches: bytes(0, 0x1f, 0x8b), why: 'It is not a disk yet.', hint: UNPACK },
  {
    name: 'compressed with xz',
    matches: bytes(0, 0xfd, 0x37, 0x7a, 0x58, 0x5a, 0),
    why: 'It is not a disk yet.',
    hint: UNPACK,
  },
  {
    name: 'compressed with zstd',
    matches: bytes(0, 0x28, 0xb5, 0x2f, 0xfd),
    why: 'It is not a disk yet.',
    hint: UNPACK,
  },
  { name: 'compressed with bzip2', matches: text(0, 'BZh'), why: 'It is not a disk yet.', hint: UNPACK },
  { name: 'compressed with lz4', matches: bytes(0, 4, 0x22, 0x4d, 0x18), why: 'It is not a disk yet.', hint: UNPACK },
  {
    name: 'an archive (zip, 7z, rar, tar or OVA)',
    matches: either(
      bytes(0, 0x50, 0x4b, 3, 4),
      bytes(0, 0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c),
      text(0, 'Rar!\x1a\x07'),
      text(257, 'ustar'),
    ),
    why: 'Archives are never unpacked here.',
    hint: UNPACK,
  },
  {
    name: 'a program (ELF)',
    matches: bytes(0, 0x7f, 0x45, 0x4c, 0x46),
    why: 'A base image is a whole disk.',
    hint: 'Give a qcow2 or raw disk.',
  },
]

/**
 * The refusal of a file that is neither qcow2 nor a plain raw disk; undefined when it is one of those.
 * `head` are the first HEAD_BYTES, `tail` the last 512 (or fewer, of a smaller file).
 */
export function foreignFormat(head: Buffer, tail: Buffer): SandlabError | undefined {
  const found = FOREIGN_FORMATS.find((format) => format.matches(head, tail))
  if (!found) return undefined
  return refused(`The file is ${found.name}. ${found.why}`, found.hint, { found: found.name })
}

export function isQcow2(head: Buffer): boolean {
  return bytes(0, 0x51, 0x46, 0x49, 0xfb)(head)
}
