import { link, mkdir, symlink, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { runCommand } from '../../src/system/command.js'

/** A file that must be refused, and what the refusal must say. */
export interface HostileImage {
  title: string
  /** What it would do to a careless reader. */
  threat: string
  says: RegExp
  /** Makes it at `path`; `folder` is a place for what it needs beside it, `decoy` a file that it may try to reach. */
  make(path: string, place: { folder: string; decoy: string }): Promise<unknown>
}

export const CLUSTER = 65_536
const VIRTUAL_BYTES = 1024 * 1024

interface Parts {
  version?: number
  header?: (header: Buffer) => void
  /** Header extensions: type and content. */
  extensions?: [number, Buffer][]
  backing?: string
  l1?: (table: Buffer) => void
  l2?: (table: Buffer) => void
  /** Clusters after the L2 table (cluster 4). */
  data?: Buffer[]
  clusterBits?: number
}

/**
 * A small, sound qcow2 file and whatever is to be wrong with it: header, refcount table, refcount block, L1, L2, data;
 * one cluster each.
 */
export function craftQcow2(parts: Parts = {}): Buffer {
  const version = parts.version ?? 3
  const header = Buffer.alloc(CLUSTER)
  header.write('QFI\xfb', 'latin1')
  header.writeUInt32BE(version, 4)
  header.writeUInt32BE(parts.clusterBits ?? 16, 20)
  header.writeBigUInt64BE(BigInt(VIRTUAL_BYTES), 24)
  header.writeUInt32BE(1, 36)
  header.writeBigUInt64BE(BigInt(3 * CLUSTER), 40)
  header.writeBigUInt64BE(BigInt(CLUSTER), 48)
  header.writeUInt32BE(1, 56)
  if (version !== 2) {
    header.writeUInt32BE(4, 96)
    header.writeUInt32BE(104, 100)
  }
  let at = version === 2 ? 72 : 104
  for (const [type, content] of parts.extensions ?? []) {
    header.writeUInt32BE(type, at)
    header.writeUInt32BE(content.length, at + 4)
    content.copy(header, at + 8)
    at += 8 + Math.ceil(content.length / 8) * 8
  }
  if (parts.backing !== undefined) {
    header.writeBigUInt64BE(BigInt(at + 8), 8)
    header.writeUInt32BE(Buffer.byteLength(parts.backing), 16)
    header.write(parts.backing, at + 8)
  }
  parts.header?.(header)
  const refcountTable = Buffer.alloc(CLUSTER)
  refcountTable.writeBigUInt64BE(BigInt(2 * CLUSTER))
  const refcounts = Buffer.alloc(CLUSTER)
  for (let cluster = 0; cluster < 8; cluster += 1) refcounts.writeUInt16BE(1, cluster * 2)
  const l1 = Buffer.alloc(CLUSTER)
  l1.writeBigUInt64BE(BigInt(4 * CLUSTER) | (1n << 63n))
  parts.l1?.(l1)
  const l2 = Buffer.alloc(CLUSTER)
  parts.l2?.(l2)
  return Buffer.concat([header, refcountTable, refcounts, l1, l2, ...(parts.data ?? [])])
}

/** 128 KiB of zeros with something at one place, as the magic numbers of formats. */
function atOffset(offset: number, content: string | number[]): Buffer {
  const file = Buffer.alloc(128 * 1024)
  const written = typeof content === 'string' ? Buffer.from(content, 'latin1') : Buffer.from(content)
  written.copy(file, offset)
  return file
}

type Crafted = Omit<HostileImage, 'threat'>

const threat = (name: string, images: Crafted[]): HostileImage[] => images.map((image) => ({ ...image, threat: name }))

const bytes = (title: string, says: RegExp, content: (place: { decoy: string }) => Buffer): Crafted => ({
  title,
  says,
  make: (path, place) => writeFile(path, content(place)),
})

const qcow2 = (title: string, says: RegExp, parts: Parts | ((place: { decoy: string }) => Parts)): Crafted =>
  bytes(title, says, (place) => craftQcow2(typeof parts === 'function' ? parts(place) : parts))

const field32 = (position: number, value: number) => (header: Buffer) => void header.writeUInt32BE(value, position)
const field64 = (position: number, value: bigint) => (header: Buffer) => void header.writeBigUInt64BE(value, position)
const entry = (index: number, value: bigint) => (table: Buffer) => void table.writeBigUInt64BE(value, index * 8)
const everyEntry = (value: bigint) => (table: Buffer) => {
  for (let at = 0; at < table.length; at += 8) table.writeBigUInt64BE(value, at)
}
const COPIED = 1n << 63n
const COMPRESSED = 1n << 62n
const text = (content: string) => Buffer.from(content, 'latin1')
const padded = (content: string) => Buffer.concat([text(content), Buffer.alloc(1024 - (content.length % 512))])

const BACKING = /backing file/
const DATA_FILE = /data file|data-file/
const ENCRYPTED = /encrypt/
const SNAPSHOTS = /internal snapshots/
const TOO_LARGE = /largest allowed|absurd/
const BOMB = /far more data|again and again/

/** 127 GiB in clusters of 512 bytes: an L1 table of 32 MiB, which is a hole. */
const manyTables: Parts = {
  clusterBits: 9,
  header: (header) => {
    header.writeBigUInt64BE(BigInt(4_161_536 * 32 * 1024), 24)
    header.writeUInt32BE(4_161_536, 36)
  },
}

async function sparse(path: string, content: Buffer, length: number): Promise<void> {
  await writeFile(path, content)
  await truncate(path, length)
}

/** 64 MiB of level-2 tables without a byte of data: `words` again and again. */
async function patchwork(path: string, words: number[], parts: Parts): Promise<void> {
  const tables = 1024
  const header = (bytes: Buffer) => {
    bytes.writeBigUInt64BE(BigInt(tables * 256 * 1024 * 1024), 24)
    bytes.writeUInt32BE(tables, 36)
    parts.header?.(bytes)
  }
  const l1 = (table: Buffer) => {
    for (let index = 0; index < tables; index += 1) entry(index, BigInt((5 + index) * CLUSTER) | COPIED)(table)
  }
  const table = Buffer.alloc(CLUSTER)
  for (let at = 0; at < CLUSTER; at += 4) table.writeUInt32BE(words[(at / 4) % words.length] ?? 0, at)
  await writeFile(path, craftQcow2({ header, l1 }))
  await writeFile(path, Buffer.concat(Array.from({ length: tables }, () => table)), { flag: 'a' })
}

export const HOSTILE_IMAGES: HostileImage[] = [
  ...threat('reads or writes another file', [
    qcow2('a backing file by absolute path', BACKING, ({ decoy }) => ({ backing: decoy })),
    qcow2('a backing file by relative path', BACKING, { backing: '../../../../../etc/passwd' }),
    qcow2('a backing file in json: with a raw host file', BACKING, ({ decoy }) => ({
      backing: `json:{"driver":"raw","file":{"driver":"file","filename":"${decoy}"}}`,
    })),
    qcow2('a backing file on an NBD server', BACKING, { backing: 'nbd://127.0.0.1:10809/secret' }),
    qcow2('a backing file on a web server', BACKING, { backing: 'http://127.0.0.1:8000/secret' }),
    qcow2('a backing file with a stated raw format', BACKING, ({ decoy }) => ({
      backing: decoy,
      extensions: [[0xe279_2aca, text('raw')]],
    })),
    qcow2('a backing file in version 2', BACKING, ({ decoy }) => ({ version: 2, backing: decoy })),
    {
      title: 'itself as its backing file',
      says: BACKING,
      make: (path) => writeFile(path, craftQcow2({ backing: path })),
    },
    qcow2('a backing file whose name lies outside of the header', /backing file/, { header: field64(8, 1n << 40n) }),
    qcow2('a backing file name of 65535 bytes', /backing file/, {
      header: (header) => {
        header.writeBigUInt64BE(200n, 8)
        header.writeUInt32BE(65_535, 16)
      },
    }),
    qcow2('a backing format without a backing file', /backing-format/, { extensions: [[0xe279_2aca, text('raw')]] }),
    qcow2('an external data file', DATA_FILE, ({ decoy }) => ({
      header: field64(72, 4n),
      extensions: [[0x4441_5441, text(decoy)]],
    })),
    qcow2('an external data file without a name', DATA_FILE, { header: field64(72, 4n) }),
    qcow2('the name of a data file without the feature bit', DATA_FILE, ({ decoy }) => ({
      extensions: [[0x4441_5441, text(decoy)]],
    })),
  ]),
  ...threat('hides what it holds', [
    qcow2('AES encryption', ENCRYPTED, { header: field32(32, 1) }),
    qcow2('LUKS encryption', ENCRYPTED, { header: field32(32, 2), extensions: [[0x0537_be77, Buffer.alloc(16)]] }),
    qcow2('an unknown encryption', ENCRYPTED, { header: field32(32, 99) }),
    qcow2('an encryption header without encryption', ENCRYPTED, { extensions: [[0x0537_be77, Buffer.alloc(16)]] }),
  ]),
  ...threat('eats memory and time', [
    qcow2('65,535 snapshots', SNAPSHOTS, {
      header: (header) => {
        header.writeUInt32BE(65_535, 60)
        header.writeBigUInt64BE(BigInt(5 * CLUSTER), 64)
      },
      data: [Buffer.alloc(CLUSTER, 1)],
    }),
    qcow2('one snapshot', SNAPSHOTS, { header: field32(60, 1) }),
    qcow2('four thousand million snapshots', SNAPSHOTS, { header: field32(60, 0xffff_ffff) }),
  ]),
  ...threat('fills the disk when it is read', [
    qcow2('a virtual size of 1 PiB', TOO_LARGE, {
      header: (header) => {
        header.writeBigUInt64BE(1n << 50n, 24)
        header.writeUInt32BE(2_097_152, 36)
      },
      data: Array.from({ length: 260 }, () => Buffer.alloc(CLUSTER)),
    }),
    qcow2('a virtual size of 1 PiB with a short level-1 table', /L1 table/, { header: field64(24, 1n << 50n) }),
    qcow2('a virtual size of 8 EiB', TOO_LARGE, { header: field64(24, 1n << 63n) }),
    qcow2('a virtual size of 2^64 - 1', TOO_LARGE, { header: field64(24, (1n << 64n) - 1n) }),
    qcow2('a virtual size of 0', /0 bytes/, { header: field64(24, 0n) }),
  ]),
  ...threat('means something else to another reader', [
    qcow2('the dirty mark', /dirty/, { header: field64(72, 1n) }),
    qcow2('the corrupt mark', /corrupt/, { header: field64(72, 2n) }),
    qcow2('an unknown incompatible feature (bit 5)', /features that are not known/, { header: field64(72, 1n << 5n) }),
    qcow2('an unknown incompatible feature (bit 63)', /features that are not known/, {
      header: field64(72, 1n << 63n),
    }),
    bytes('version 1', /version 1/, () => craftQcow2({ version: 1 })),
    qcow2('version 4', /version is 4/, { header: field32(4, 4) }),
    qcow2('version 2^32 - 1', /version is 4294967295/, { header: field32(4, 0xffff_ffff) }),
    qcow2('an unknown compression', /compression/, {
      header: (header) => {
        header.writeBigUInt64BE(8n, 72)
        header.writeUInt32BE(112, 100)
        header.writeUInt8(7, 104)
      },
    }),
    qcow2('a compression bit without a type', /compression/, { header: field64(72, 8n) }),
    qcow2('a compression type without its bit', /compression/, {
      header: (header) => {
        header.writeUInt32BE(112, 100)
        header.writeUInt8(1, 104)
      },
    }),
    qcow2('refcounts of 128 bits', /refcounts/, { header: field32(96, 7) }),
  ]),
  ...threat('crashes whoever trusts its numbers', [
    qcow2('clusters of 256 bytes', /cluster size/, { clusterBits: 8 }),
    qcow2('clusters of 4 MiB', /cluster size/, { clusterBits: 22 }),
    qcow2('clusters of 2^4294967295 bytes', /cluster size/, { clusterBits: 0xffff_ffff }),
    qcow2('extended L2 in clusters of 4 KiB', /extended L2|damaged|misplaced/, {
      clusterBits: 12,
      header: field64(72, 16n),
    }),
    qcow2('a header of 4 GiB', /header claims/, { header: field32(100, 0xffff_fff8) }),
    qcow2('a header of 8 bytes', /header claims/, { header: field32(100, 8) }),
    qcow2('a header longer than any known', /more than any known version/, { header: field32(100, 120) }),
    qcow2('a level-1 table of no entries', /L1 table/, { header: field32(36, 0) }),
    qcow2('a level-1 table of 32 GiB', /L1 table/, { header: field32(36, 0xffff_ffff) }),
    qcow2('a level-1 table over the header', /L1 table/, { header: field64(40, 0n) }),
    qcow2('a level-1 table at an odd place', /L1 table/, { header: field64(40, 196_609n) }),
    qcow2('a level-1 table beyond the end', /L1 table/, { header: field64(40, BigInt(CLUSTER) * 1000n) }),
    qcow2('a level-1 table at 2^63', /absurd/, { header: field64(40, 1n << 63n) }),
    qcow2('no refcount table', /refcount table/, { header: field32(56, 0) }),
    qcow2('a refcount table of 256 TiB', /refcount table/, { header: field32(56, 0xffff_ffff) }),
    qcow2('a refcount table beyond the end', /refcount table/, { header: field64(48, BigInt(CLUSTER) * 1000n) }),
  ]),
  ...threat('hides in parts that few look at', [
    qcow2('an unknown header extension', /unknown extension/, { extensions: [[0x1234_5678, Buffer.alloc(8)]] }),
    qcow2('persistent bitmaps', /bitmaps/, { extensions: [[0x2385_2875, Buffer.alloc(24)]] }),
    qcow2('an extension of 4 GiB', /extension/, {
      header: (header) => {
        header.writeUInt32BE(0x6803_f857, 104)
        header.writeUInt32BE(0xffff_fff0, 108)
      },
    }),
    qcow2('a hundred extensions', /too many header extensions/, {
      extensions: Array.from({ length: 100 }, () => [0x6803_f857, Buffer.alloc(48)] as [number, Buffer]),
    }),
  ]),
  ...threat('describes far more than it holds', [
    qcow2('one cluster named by every entry (16 GiB in 400 KB)', BOMB, {
      l2: everyEntry(BigInt(5 * CLUSTER) | COPIED),
      data: [Buffer.alloc(CLUSTER, 0xa5)],
    }),
    qcow2('one compressed cluster named by every entry', BOMB, {
      header: (header) => {
        header.writeBigUInt64BE(1n << 36n, 24)
        header.writeUInt32BE(128, 36)
      },
      l1: (table) => {
        for (let index = 0; index < 128; index += 1) {
          table.writeBigUInt64BE(BigInt((4 + index) * CLUSTER) | COPIED, index * 8)
        }
      },
      l2: everyEntry(BigInt(4 * CLUSTER) | COMPRESSED),
      data: Array.from({ length: 128 }, () => {
        const table = Buffer.alloc(CLUSTER)
        everyEntry(BigInt(4 * CLUSTER) | COMPRESSED)(table)
        return table
      }),
    }),
    qcow2('one level-2 table shared by the whole disk', BOMB, {
      header: (header) => {
        header.writeBigUInt64BE(1n << 32n, 24)
        header.writeUInt32BE(8, 36)
      },
      l1: everyEntry(BigInt(4 * CLUSTER) | COPIED),
    }),
    qcow2('a level-2 table beyond the end', /cut off/, { l1: entry(0, (BigInt(CLUSTER) * 1000n) | COPIED) }),
    qcow2('a level-2 table at an odd place', /impossible place/, { l1: entry(0, BigInt(4 * CLUSTER + 512) | COPIED) }),
    qcow2('a cluster beyond the end (a truncated file)', /cut off/, { l2: entry(3, (BigInt(CLUSTER) * 90n) | COPIED) }),
    qcow2('a cluster over the header', /impossible place/, { l2: entry(3, 512n | COPIED) }),
    qcow2('a compressed cluster beyond the end', /cut off/, { l2: entry(3, COMPRESSED | (1n << 40n)) }),
  ]),
  ...threat('keeps the converter busy for ever', [
    {
      title: 'a map of 4 million tables for an empty disk (12 s of the converter)',
      says: /too small/,
      make: (path) => sparse(path, craftQcow2(manyTables), 3 * CLUSTER + 8 * 4_161_536 + CLUSTER),
    },
    {
      title: 'an empty disk of 4 million pieces',
      says: /more than a million pieces/,
      make: (path) => patchwork(path, [0, 0, 0, 1], {}),
    },
    {
      title: 'an empty disk of 4 million pieces, marked as if they were data',
      says: /more than a million pieces/,
      make: (path) => patchwork(path, [0x8000_0000, 0, 0x8000_0000, 1], {}),
    },
    {
      title: 'an empty disk of 134 million parts of clusters (minutes of the converter)',
      says: /more than a million pieces/,
      make: (path) => patchwork(path, [0, 0, 0x5555_5555, 0], { header: field64(72, 16n) }),
    },
  ]),
  ...threat('ends too early', [
    bytes('a header cut after the magic', /damaged|not a qcow2/, () => craftQcow2().subarray(0, 4)),
    bytes('a version 3 header cut at 80 bytes', /cut off/, () => craftQcow2().subarray(0, 80)),
    bytes('a file cut within its tables', /beyond the end/, () => craftQcow2().subarray(0, 2 * CLUSTER)),
  ]),
  ...threat('is of another format', [
    bytes('a VMDK that names a host file', /VMDK/, ({ decoy }) =>
      padded(`# Disk DescriptorFile\nversion=1\nCID=fffffffe\ncreateType="monolithicFlat"\nRW 8 FLAT "${decoy}" 0\n`),
    ),
    bytes('a VMDK descriptor after comments', /VMDK/, ({ decoy }) =>
      padded(`# a harmless text\n\n  # more\nversion=1\ncreateType="monolithicFlat"\nRW 8 FLAT "${decoy}" 0\n`),
    ),
    bytes('a VMDK that names /etc/passwd', /VMDK/, () =>
      text('# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 8 FLAT "/etc/passwd" 0\n'),
    ),
    bytes('eight thousand blank lines and then a VMDK', /VMDK/, () =>
      padded(`${'\n'.repeat(8000)}version=1\n${'x'.repeat(1000)}`),
    ),
    bytes('a sparse VMDK', /VMDK/, () => atOffset(0, 'KDMV')),
    bytes('a COWD VMDK', /VMDK/, () => atOffset(0, 'COWD')),
    bytes('a VDI', /VDI/, () => atOffset(0x40, [0x7f, 0x10, 0xda, 0xbe])),
    bytes('a VHDX', /VHDX/, () => atOffset(0, 'vhdxfile')),
    bytes('a dynamic VHD', /VHD/, () => atOffset(0, 'conectix')),
    bytes('a fixed VHD, known by its end', /VHD/, () => atOffset(128 * 1024 - 512, 'conectix')),
    bytes('a QED', /QED/, () => atOffset(0, 'QED\0')),
    bytes('a LUKS volume', /LUKS/, () => atOffset(0, [0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe])),
    bytes('a Parallels disk', /Parallels/, () => atOffset(0, 'WithoutFreeSpace')),
    bytes('a Bochs disk', /Bochs/, () => atOffset(0, 'Bochs Virtual HD Image')),
    bytes('a cloop image', /cloop/, () => atOffset(0, '#!/bin/sh\n#V2.0 Format\nmodprobe cloop')),
    bytes('a DMG, known by its end', /DMG/, () => atOffset(128 * 1024 - 512, 'koly')),
    bytes('an ISO', /ISO/, () => atOffset(0x8001, 'CD001')),
    bytes('a UDF disc', /UDF/, () => atOffset(0x8001, 'NSR02')),
    bytes('a gzip file', /gzip/, () => atOffset(0, [0x1f, 0x8b, 8])),
    bytes('an xz file', /xz/, () => atOffset(0, [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0])),
    bytes('a zstd file', /zstd/, () => atOffset(0, [0x28, 0xb5, 0x2f, 0xfd])),
    bytes('a bzip2 file', /bzip2/, () => atOffset(0, 'BZh9')),
    bytes('a zip file', /archive/, () => atOffset(0, [0x50, 0x4b, 3, 4])),
    bytes('an OVA', /archive/, () => atOffset(257, 'ustar')),
    bytes('a program', /ELF/, () => atOffset(0, [0x7f, 0x45, 0x4c, 0x46])),
    bytes('a raw disk that ends within a sector', /within a sector/, () => Buffer.alloc(1000, 1)),
    bytes('an empty file', /empty/, () => Buffer.alloc(0)),
    {
      title: 'a raw disk of 2 TiB, all hole',
      says: /largest allowed/,
      make: async (path) => {
        await writeFile(path, '')
        await truncate(path, 2 * 1024 ** 4)
      },
    },
  ]),
  ...threat('is no file of its own', [
    { title: 'a FIFO', says: /FIFO/, make: (path) => runCommand('mkfifo', [path], { timeoutMs: 5000 }) },
    { title: 'a folder', says: /folder/, make: (path) => mkdir(path) },
    { title: 'a symlink to a host file', says: /symbolic link/, make: (path, { decoy }) => symlink(decoy, path) },
    { title: 'a symlink to nothing', says: /symbolic link/, make: (path) => symlink('/nowhere', path) },
    {
      title: 'a symlink to a good image',
      says: /symbolic link/,
      make: async (path, { folder }) => {
        await writeFile(join(folder, 'good.qcow2'), craftQcow2())
        await symlink(join(folder, 'good.qcow2'), path)
      },
    },
    {
      title: 'a hard link to a host file',
      says: /hard links/,
      make: (path, { decoy }) => link(decoy, path),
    },
    {
      title: 'a socket',
      says: /socket/,
      make: (path) =>
        new Promise((resolve) =>
          createServer()
            .unref()
            .listen(path, () => resolve(undefined)),
        ),
    },
  ]),
]
