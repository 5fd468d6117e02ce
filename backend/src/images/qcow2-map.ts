import type { FileHandle } from 'node:fs/promises'
import { formatBytes } from '../domain/units.js'
import { readAt } from './file-blocks.js'
import { MAX_EXPANSION } from './image-limits.js'
import type { Qcow2Tables } from './qcow2-check.js'
import { CONVERT_YOURSELF, COPY_AGAIN, refused } from './refusal.js'

/** Tables of 64 KiB clusters for 16 TiB; reading this many takes about a second. */
const MAX_L2_TABLES = 32_768
/** QEMU's map of 1 TiB in clusters of 4 KiB. Each costs its converter a look, however empty the file is. */
const MAX_L1_ENTRIES = 524_288
/**
 * Between "zeros" and "nothing": the converter looks at each run of them by itself, a million a second, and a hundred
 * megabytes of tables could hold half a milliard. What QEMU writes has few.
 */
const MAX_EMPTY_RUNS = 1_000_000
const OFFSET_MASK = 0x00ff_ffff_ffff_fe00n

interface Claims {
  plainClusters: number
  compressedClusters: number
  /** Runs of clusters or of their parts without data, and how the last one reads. */
  emptyRuns: number
  lastEmpty: 0 | 1
}

/**
 * Walks the tables that say where each piece of the disk lies and adds up what they claim. A real file holds each
 * uncompressed cluster once, so it can't describe more data than it has bytes; a bomb names the same bytes again and
 * again. Throws `image_refused` for bombs, for tables that are shared, and for places outside the file.
 */
export async function checkQcow2Map(file: FileHandle, fileBytes: number, layout: Qcow2Tables): Promise<void> {
  const tables = await level2Tables(file, fileBytes, layout)
  const claims: Claims = { plainClusters: 0, compressedClusters: 0, emptyRuns: 0, lastEmpty: 0 }
  const table = Buffer.alloc(layout.clusterBytes)
  for (const offset of tables) {
    table.fill(0)
    await readAt(file, table, offset)
    addClaims(table, fileBytes, layout, claims)
    refuseBomb(claims, fileBytes, layout)
    refusePatchwork(claims)
  }
}

async function level2Tables(file: FileHandle, fileBytes: number, layout: Qcow2Tables): Promise<number[]> {
  if (layout.l1Entries > MAX_L1_ENTRIES) throw tooSmallClusters(`its map needs ${layout.l1Entries} level-2 tables`)
  const level1 = Buffer.alloc(layout.l1Entries * 8)
  await readAt(file, level1, layout.l1Offset)
  const offsets: number[] = []
  for (let entry = 0; entry < layout.l1Entries; entry += 1) {
    const offset = Number(level1.readBigUInt64BE(entry * 8) & OFFSET_MASK)
    if (offset === 0) continue
    requirePlace(offset, fileBytes, layout.clusterBytes, 'level-2 table')
    offsets.push(offset)
  }
  if (new Set(offsets).size !== offsets.length) {
    throw refused(
      'The file uses one level-2 table for several parts of its disk: it describes far more data than it holds.',
      CONVERT_YOURSELF,
      { found: 'size bomb' },
    )
  }
  if (offsets.length > MAX_L2_TABLES) {
    throw tooSmallClusters(`it has ${offsets.length} level-2 tables, and at most ${MAX_L2_TABLES} are read`)
  }
  return offsets
}

function tooSmallClusters(what: string) {
  return refused(`The file's clusters are too small for its size: ${what}.`, CONVERT_YOURSELF, {
    found: 'too small clusters',
  })
}

function addClaims(table: Buffer, fileBytes: number, layout: Qcow2Tables, claims: Claims): void {
  for (let at = 0; at < table.length; at += layout.l2EntryBytes) {
    // The two halves are numbers: a BigInt for each of a million entries would take seconds.
    const high = table.readUInt32BE(at)
    const low = table.readUInt32BE(at + 4)
    if (high & 0x4000_0000) {
      claims.compressedClusters += 1
      requireCompressedPlace(high, low, fileBytes, layout)
      continue
    }
    const offset = (high & 0x00ff_ffff) * 2 ** 32 + ((low & 0xffff_fe00) >>> 0)
    if (offset === 0) {
      addEmpty(layout.l2EntryBytes === 16 ? table.readUInt32BE(at + 8) : -(low & 1), claims)
      continue
    }
    requirePlace(offset, fileBytes, layout.clusterBytes, 'cluster')
    claims.plainClusters += 1
  }
}

/**
 * A cluster without data, or with extended L2 its 32 parts: bits of those that read as zeros, the lowest first. All bits
 * are alike without extended L2.
 */
function addEmpty(zeros: number, claims: Claims): void {
  if ((zeros & 1) !== claims.lastEmpty) claims.emptyRuns += 1
  claims.lastEmpty = zeros < 0 || zeros >= 2 ** 31 ? 1 : 0
  for (let changes = (zeros ^ (zeros >>> 1)) & 0x7fff_ffff; changes !== 0; changes &= changes - 1) claims.emptyRuns += 1
}

function refusePatchwork({ emptyRuns }: Claims): void {
  if (emptyRuns <= MAX_EMPTY_RUNS) return
  throw refused(
    'The file describes its empty space in more than a million pieces: reading it would keep this server busy for long.',
    CONVERT_YOURSELF,
    { found: 'time bomb' },
  )
}

/**
 * A compressed entry holds the offset in its low 62 - (cluster bits - 8) bits, and the number of sectors above. Beyond
 * 2^53 the sum is not exact, but then it is far outside of any file.
 */
function requireCompressedPlace(high: number, low: number, fileBytes: number, tables: Qcow2Tables): void {
  const offsetBitsInHigh = 62 - (Math.log2(tables.clusterBytes) - 8) - 32
  const offset = (high % 2 ** offsetBitsInHigh) * 2 ** 32 + low
  if (offset < tables.clusterBytes || offset >= fileBytes) throw outside('compressed cluster', offset, fileBytes)
}

function requirePlace(offset: number, fileBytes: number, clusterBytes: number, what: string): void {
  if (offset % clusterBytes !== 0 || offset < clusterBytes) {
    throw refused(`The file's tables name an impossible place (offset ${offset}) for a ${what}.`, CONVERT_YOURSELF)
  }
  if (offset >= fileBytes) throw outside(what, offset, fileBytes)
}

function outside(what: string, offset: number, fileBytes: number) {
  return refused(
    `The file is cut off or damaged: a ${what} lies at byte ${offset}, the file ends at ${fileBytes}.`,
    COPY_AGAIN,
  )
}

function refuseBomb(claims: Claims, fileBytes: number, layout: Qcow2Tables): void {
  const plainBytes = claims.plainClusters * layout.clusterBytes
  const compressedBytes = claims.compressedClusters * layout.clusterBytes
  const wholeClusters = Math.ceil(fileBytes / layout.clusterBytes) * layout.clusterBytes
  if (plainBytes <= wholeClusters && compressedBytes <= MAX_EXPANSION * fileBytes) return
  throw refused(
    `The file has ${formatBytes(fileBytes)} but describes ${formatBytes(plainBytes + compressedBytes)} of data: it names the same bytes again and again, to fill this server when it is read.`,
    CONVERT_YOURSELF,
    { found: 'size bomb' },
  )
}
