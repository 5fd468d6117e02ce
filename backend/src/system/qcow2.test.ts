import { describe, expect, it } from '@jest/globals'
import { isSandlabError } from '../domain/error.js'
import { overlayMetadata } from './qcow2-overlay.js'
import { parseQcow2Header } from './qcow2.js'

const GIB = 1024 ** 3

/** The first cluster of an overlay of ours, changed before it is read. */
function header(change: (bytes: Buffer) => void = () => undefined): Buffer {
  const bytes = Buffer.alloc(128 * 1024)
  overlayMetadata({ backingFile: '../images/tiny.qcow2', virtualSizeBytes: 10 * GIB }).parts[0]?.bytes.copy(bytes)
  change(bytes)
  return bytes
}

function reasonOf(bytes: Buffer, fileSizeBytes?: number): unknown {
  try {
    parseQcow2Header(bytes, fileSizeBytes)
  } catch (error) {
    return isSandlabError(error, 'image_refused') ? error.details?.['reason'] : error
  }
  return 'accepted'
}

describe('parseQcow2Header', () => {
  it('reads back every field of an overlay of ours', () => {
    expect(parseQcow2Header(header(), 4 * 128 * 1024)).toEqual({
      version: 3,
      virtualSizeBytes: 10 * GIB,
      clusterBits: 17,
      backingFileOffset: 128,
      backingFile: '../images/tiny.qcow2',
      backingFormat: 'qcow2',
      cryptMethod: 0,
      l1Size: 10,
      l1TableOffset: 3 * 128 * 1024,
      refcountTableOffset: 128 * 1024,
      refcountTableClusters: 1,
      snapshotCount: 0,
      snapshotsOffset: 0,
      incompatible: ['extended-l2'],
      unknownIncompatibleBits: 0n,
      compatibleBits: 0n,
      autoclearBits: 0n,
      refcountOrder: 4,
      headerLength: 104,
      compressionType: 0,
      extensions: [{ type: 0xe2792aca, name: 'backing-format', length: 5 }],
    })
  })

  it('names the features and extensions that a careful reader refuses', () => {
    const read = parseQcow2Header(
      header((bytes) => {
        bytes.writeBigUInt64BE(0n, 8) // no backing file, so that more extensions may follow
        bytes.writeUInt32BE(65_535, 60)
        bytes.writeUInt32BE(2, 32)
        bytes.writeBigUInt64BE(0b1_1111n | (1n << 40n), 72)
        bytes.writeUInt32BE(0x4441_5441, 104)
        bytes.writeUInt32BE(0x1234_5678, 120)
        bytes.writeUInt32BE(0, 124)
        bytes.writeUInt32BE(0, 128)
      }),
    )
    expect(read.incompatible).toEqual(['dirty', 'corrupt', 'data-file', 'compression', 'extended-l2'])
    expect(read.unknownIncompatibleBits).toBe(1n << 40n)
    expect(read).toMatchObject({ snapshotCount: 65_535, cryptMethod: 2, backingFile: null })
    expect(read.extensions.map((extension) => extension.name)).toEqual(['data-file', 'unknown'])
  })

  it.each<[string, (bytes: Buffer) => void]>([
    ['it is not a qcow2 image', (bytes) => bytes.write('KDMV', 0)],
    ['its qcow2 version is 4, not 2 or 3', (bytes) => bytes.writeUInt32BE(4, 4)],
    ['its cluster size is 2^31 bytes', (bytes) => bytes.writeUInt32BE(31, 20)],
    ['its virtual size is absurd', (bytes) => bytes.writeBigUInt64BE(1n << 60n, 24)],
    ['its L1 table is too small for its virtual size', (bytes) => bytes.writeUInt32BE(9, 36)],
    ['its L1 table is larger than QEMU reads', (bytes) => bytes.writeUInt32BE(0x1000_0000, 36)],
    ['its L1 table is misplaced', (bytes) => bytes.writeBigUInt64BE(77n, 40)],
    ['its L1 table is misplaced', (bytes) => bytes.writeBigUInt64BE(0n, 40)],
    ['its refcount table is misplaced', (bytes) => bytes.writeBigUInt64BE(513n, 48)],
    ['it has no refcount table', (bytes) => bytes.writeUInt32BE(0, 56)],
    ['its L1 table reaches beyond the end of the file', (bytes) => bytes.writeBigUInt64BE(1n << 40n, 40)],
    ['its encryption method is 7', (bytes) => bytes.writeUInt32BE(7, 32)],
    ['its refcounts have 2^9 bits', (bytes) => bytes.writeUInt32BE(9, 96)],
    ['its header claims 100 bytes', (bytes) => bytes.writeUInt32BE(100, 100)],
    ['its header claims 4294967288 bytes', (bytes) => bytes.writeUInt32BE(0xffff_fff8, 100)],
    ["its backing file's name lies outside of the header", (bytes) => bytes.writeUInt32BE(1024, 16)],
    ["its backing file's name lies outside of the header", (bytes) => bytes.writeBigUInt64BE(131_070n, 8)],
    ['a header extension reaches beyond the header', (bytes) => bytes.writeUInt32BE(0xffff_ffff, 108)],
  ])('refuses a header because %s', (reason, change) => {
    expect(reasonOf(header(change), 4 * 128 * 1024)).toBe(reason)
  })

  it('answers every cut and every damaged byte with a header or a reason, never with another error', () => {
    for (let length = 0; length <= 160; length += 1) {
      expect(typeof reasonOf(header().subarray(0, length))).toBe('string')
    }
    for (let offset = 0; offset < 150; offset += 1) {
      for (const value of [0, 1, 0x7f, 0xff]) {
        expect(typeof reasonOf(header((bytes) => bytes.writeUInt8(value, offset)))).toBe('string')
      }
    }
  })
})

describe('overlayMetadata', () => {
  it('has one L1 entry per GiB and refcounts for every cluster', () => {
    const { parts, fileBytes } = overlayMetadata({
      backingFile: '../images/x.qcow2',
      virtualSizeBytes: 64 * 1024 * GIB,
    })
    expect(parts[0]?.bytes.readUInt32BE(36)).toBe(65_536)
    expect(fileBytes).toBe((3 + 4) * 128 * 1024)
    expect(parts[2]?.bytes).toHaveLength(14)
  })

  it('rounds the size up to whole sectors and refuses a path that does not fit', () => {
    const { parts } = overlayMetadata({ backingFile: 'x', virtualSizeBytes: 1025 })
    expect(parts[0]?.bytes.readBigUInt64BE(24)).toBe(1536n)
    expect(() => overlayMetadata({ backingFile: 'x'.repeat(1024), virtualSizeBytes: 512 })).toThrow(/doesn't fit/)
  })
})
