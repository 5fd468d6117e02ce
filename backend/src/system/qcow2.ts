import { open, type FileHandle } from 'node:fs/promises'
import { SandlabError } from '../domain/error.js'

/** The numbers are from QEMU's docs/interop/qcow2.rst. */
const MAGIC = 0x5146_49fb
const V2_HEADER_BYTES = 72
const V3_HEADER_BYTES = 104
const MAX_BACKING_NAME_BYTES = 1023
/** QEMU's own limit of an L1 table. */
const MAX_L1_BYTES = 32 * 1024 * 1024
const MAX_EXTENSIONS = 64
/** A cluster has at most 2 MiB; the header, its extensions and the backing file's name lie in the first one. */
const MAX_CLUSTER_BYTES = 2 * 1024 * 1024

/** Names of the incompatible feature bits, by bit number; an image with an unnamed one can't be read rightly. */
export const INCOMPATIBLE_FEATURES = ['dirty', 'corrupt', 'data-file', 'compression', 'extended-l2'] as const
export type IncompatibleFeature = (typeof INCOMPATIBLE_FEATURES)[number]

const EXTENSIONS: Record<number, Qcow2Extension['name']> = {
  0xe279_2aca: 'backing-format',
  0x6803_f857: 'feature-names',
  0x2385_2875: 'bitmaps',
  0x0537_be77: 'encryption',
  0x4441_5441: 'data-file',
}

export interface Qcow2Extension {
  type: number
  name: 'backing-format' | 'feature-names' | 'bitmaps' | 'encryption' | 'data-file' | 'unknown'
  /** Bytes of its content. */
  length: number
}

/** What the first cluster of a qcow2 file says. Offsets and sizes in bytes unless named otherwise. */
export interface Qcow2Header {
  version: 2 | 3
  virtualSizeBytes: number
  clusterBits: number
  /** 0: no backing file. */
  backingFileOffset: number
  /** As written: a path, or `json:…`, `nbd:…`. Never open it without a check. Null: none. */
  backingFile: string | null
  backingFormat: string | null
  /** 0 none, 1 AES, 2 LUKS. */
  cryptMethod: number
  /** Entries of 8 bytes. */
  l1Size: number
  l1TableOffset: number
  refcountTableOffset: number
  refcountTableClusters: number
  snapshotCount: number
  snapshotsOffset: number
  /** Known incompatible features that are set. */
  incompatible: IncompatibleFeature[]
  /** Set bits that this parser has no name for; not 0n = unreadable for us. */
  unknownIncompatibleBits: bigint
  compatibleBits: bigint
  autoclearBits: bigint
  refcountOrder: number
  headerLength: number
  /** 0 deflate, 1 zstd. */
  compressionType: number
  extensions: Qcow2Extension[]
}

/**
 * Reads a header from the first bytes of a file (the first cluster, or the whole file when shorter). Pure. Throws
 * `image_refused` when it is not qcow2 or contradicts itself; what a feature is worth is the caller's to decide.
 */
export function parseQcow2Header(bytes: Buffer, fileSizeBytes?: number): Qcow2Header {
  if (bytes.length < V2_HEADER_BYTES || bytes.readUInt32BE(0) !== MAGIC) throw refused('it is not a qcow2 image')
  const version = bytes.readUInt32BE(4)
  if (version !== 2 && version !== 3) throw refused(`its qcow2 version is ${version}, not 2 or 3`)
  if (version === 3 && bytes.length < V3_HEADER_BYTES) throw refused('its header is cut off')
  const clusterBits = bytes.readUInt32BE(20)
  if (clusterBits < 9 || clusterBits > 21) throw refused(`its cluster size is 2^${clusterBits} bytes`)
  const features = version === 3 ? readFeatures(bytes) : V2_FEATURES
  const header: Qcow2Header = {
    version,
    virtualSizeBytes: readUInt64(bytes, 24, 'virtual size'),
    clusterBits,
    backingFileOffset: readUInt64(bytes, 8, 'backing file offset'),
    backingFile: null,
    backingFormat: null,
    cryptMethod: bytes.readUInt32BE(32),
    l1Size: bytes.readUInt32BE(36),
    l1TableOffset: readUInt64(bytes, 40, 'L1 table offset'),
    refcountTableOffset: readUInt64(bytes, 48, 'refcount table offset'),
    refcountTableClusters: bytes.readUInt32BE(56),
    snapshotCount: bytes.readUInt32BE(60),
    snapshotsOffset: readUInt64(bytes, 64, 'snapshot table offset'),
    ...features,
    extensions: [],
  }
  const firstCluster = bytes.subarray(0, Math.min(bytes.length, 2 ** clusterBits))
  readExtensions(firstCluster, header)
  header.backingFile = readBackingFile(firstCluster, header, bytes.readUInt32BE(16))
  checkTables(header, fileSizeBytes)
  return header
}

/** Reads the header of an open file, or of a file by its path, which must not be a FIFO or device. */
export async function readQcow2Header(source: string | FileHandle): Promise<Qcow2Header> {
  if (typeof source === 'string') {
    const file = await open(source, 'r')
    try {
      return await readQcow2Header(file)
    } finally {
      await file.close()
    }
  }
  const { size } = await source.stat()
  const start = await readStart(source, 64 * 1024)
  const clusterBits = start.length >= V2_HEADER_BYTES ? start.readUInt32BE(20) : 0
  const needed = Math.min(2 ** clusterBits, MAX_CLUSTER_BYTES)
  const bytes = needed > start.length && size > start.length ? await readStart(source, needed) : start
  return parseQcow2Header(bytes, size)
}

async function readStart(file: FileHandle, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, 0)
  return buffer.subarray(0, bytesRead)
}

type Features = Pick<
  Qcow2Header,
  | 'incompatible'
  | 'unknownIncompatibleBits'
  | 'compatibleBits'
  | 'autoclearBits'
  | 'refcountOrder'
  | 'headerLength'
  | 'compressionType'
>

/** Version 2 has no feature fields; its refcounts have 16 bits. */
const V2_FEATURES: Features = {
  incompatible: [],
  unknownIncompatibleBits: 0n,
  compatibleBits: 0n,
  autoclearBits: 0n,
  refcountOrder: 4,
  headerLength: V2_HEADER_BYTES,
  compressionType: 0,
}

function readFeatures(bytes: Buffer): Features {
  const bits = bytes.readBigUInt64BE(72)
  const refcountOrder = bytes.readUInt32BE(96)
  const headerLength = bytes.readUInt32BE(100)
  if (refcountOrder > 6) throw refused(`its refcounts have 2^${refcountOrder} bits`)
  if (headerLength < V3_HEADER_BYTES || headerLength % 8 !== 0 || headerLength > bytes.length) {
    throw refused(`its header claims ${headerLength} bytes`)
  }
  return {
    incompatible: INCOMPATIBLE_FEATURES.filter((_, bit) => (bits >> BigInt(bit)) & 1n),
    unknownIncompatibleBits: (bits >> BigInt(INCOMPATIBLE_FEATURES.length)) << BigInt(INCOMPATIBLE_FEATURES.length),
    compatibleBits: bytes.readBigUInt64BE(80),
    autoclearBits: bytes.readBigUInt64BE(88),
    refcountOrder,
    headerLength,
    compressionType: headerLength > V3_HEADER_BYTES ? bytes.readUInt8(104) : 0,
  }
}

/** Header extensions: type and length, 4 bytes each, content padded to 8; type 0 ends them, so does the backing name. */
function readExtensions(cluster: Buffer, header: Qcow2Header): void {
  const end = header.backingFileOffset > 0 ? Math.min(header.backingFileOffset, cluster.length) : cluster.length
  let position = header.headerLength
  while (position + 8 <= end) {
    const type = cluster.readUInt32BE(position)
    if (type === 0) return
    const length = cluster.readUInt32BE(position + 4)
    if (length > end - position - 8) throw refused('a header extension reaches beyond the header')
    if (header.extensions.length >= MAX_EXTENSIONS) throw refused('it has too many header extensions')
    const name = EXTENSIONS[type] ?? 'unknown'
    header.extensions.push({ type, name, length })
    if (name === 'backing-format') {
      header.backingFormat = cluster.subarray(position + 8, position + 8 + length).toString('latin1')
    }
    position += 8 + Math.ceil(length / 8) * 8
  }
}

function readBackingFile(cluster: Buffer, header: Qcow2Header, length: number): string | null {
  const offset = header.backingFileOffset
  if (offset === 0) return null
  if (length > MAX_BACKING_NAME_BYTES || offset < header.headerLength || offset + length > cluster.length) {
    throw refused("its backing file's name lies outside of the header")
  }
  return cluster.subarray(offset, offset + length).toString('utf8')
}

function checkTables(header: Qcow2Header, fileSizeBytes = Number.POSITIVE_INFINITY): void {
  const clusterBytes = 2 ** header.clusterBits
  const neededL1 = l1Entries(header.virtualSizeBytes, header.clusterBits, header.incompatible.includes('extended-l2'))
  if (header.l1Size < neededL1) throw refused('its L1 table is too small for its virtual size')
  if (header.l1Size * 8 > MAX_L1_BYTES) throw refused('its L1 table is larger than QEMU reads')
  if (header.cryptMethod > 2) throw refused(`its encryption method is ${header.cryptMethod}`)
  if (header.refcountTableClusters === 0) throw refused('it has no refcount table')
  const tables: [string, number, number][] = [
    ['L1 table', header.l1TableOffset, header.l1Size * 8],
    ['refcount table', header.refcountTableOffset, header.refcountTableClusters * clusterBytes],
  ]
  for (const [name, offset, length] of tables) {
    if (length === 0) continue
    if (offset < clusterBytes || offset % clusterBytes !== 0) throw refused(`its ${name} is misplaced`)
    if (offset + length > fileSizeBytes) throw refused(`its ${name} reaches beyond the end of the file`)
  }
}

/** One L1 entry points to one L2 table of a cluster, whose entries (8 bytes, 16 when extended) name a cluster each. */
export function l1Entries(virtualSizeBytes: number, clusterBits: number, extendedL2: boolean): number {
  const clusterBytes = 2 ** clusterBits
  return Math.ceil(virtualSizeBytes / (clusterBytes * (clusterBytes / (extendedL2 ? 16 : 8))))
}

function readUInt64(bytes: Buffer, offset: number, what: string): number {
  const value = bytes.readBigUInt64BE(offset)
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw refused(`its ${what} is absurd`)
  return Number(value)
}

function refused(reason: string): SandlabError {
  return new SandlabError('image_refused', `Could not read the image's header: ${reason}.`, { details: { reason } })
}
