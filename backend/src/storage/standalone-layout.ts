import type { Extent } from './chain-files.js'
import { l1Entries } from '../system/qcow2.js'

/** As every disk of ours: clusters of 128 KiB with sub-clusters (system/qcow2-overlay.ts). */
const CLUSTER_BITS = 17
export const CLUSTER_BYTES = 2 ** CLUSTER_BITS
const EXTENDED_L2_BIT = 1n << 4n
const L2_ENTRY_BYTES = 16
const CLUSTERS_PER_L2 = CLUSTER_BYTES / L2_ENTRY_BYTES
/** Of two bytes each. */
const REFCOUNTS_PER_BLOCK = CLUSTER_BYTES / 2
const HEADER_BYTES = 104
/** The only user of a cluster may write to it in place. */
const COPIED = 1n << 63n
const ALL_ALLOCATED = 0xffff_ffffn

/** Clusters of the virtual disk that follow each other, and so do their places in the file. */
export interface Run {
  cluster: number
  count: number
  /** How many data clusters come before it. */
  rank: number
}

/** Where everything of a standalone qcow2 file lies, decided before the first byte is copied. */
export interface StandaloneLayout {
  virtualSizeBytes: number
  runs: Run[]
  dataClusters: number
  /** From here to the end of the file lie the data clusters, in the order of the virtual disk. */
  dataOffset: number
  fileBytes: number
}

/**
 * The file of a disk that holds these extents: header, refcounts, maps, then the data without a gap. Since all of it is
 * known beforehand, a copy that was cut off is gone on with from how far the data came. Pure.
 */
export function standaloneLayout(virtualSizeBytes: number, extents: readonly Extent[]): StandaloneLayout {
  const runs = runsOf(extents)
  const dataClusters = runs.reduce((sum, { count }) => sum + count, 0)
  const metadata = metadataClusters(virtualSizeBytes, runs, dataClusters)
  const dataOffset = metadata.total * CLUSTER_BYTES
  return { virtualSizeBytes, runs, dataClusters, dataOffset, fileBytes: dataOffset + dataClusters * CLUSTER_BYTES }
}

/** What stands before the data; the rest are holes. Pure. */
export function standaloneMetadata(layout: StandaloneLayout): { offset: number; bytes: Buffer }[] {
  const { virtualSizeBytes, runs, dataClusters } = layout
  const { blocks, l1, l2, total } = metadataClusters(virtualSizeBytes, runs, dataClusters)
  const at = (cluster: number) => cluster * CLUSTER_BYTES
  const l1Cluster = 2 + blocks
  const l2Cluster = l1Cluster + l1
  const tables = l2Tables(layout)
  const l1Table = Buffer.alloc(l1Entries(virtualSizeBytes, CLUSTER_BITS, true) * 8)
  const parts: { offset: number; bytes: Buffer }[] = []
  for (const [index, [number, bytes]] of [...tables].entries()) {
    const offset = at(l2Cluster + index)
    l1Table.writeBigUInt64BE(BigInt(offset) | COPIED, number * 8)
    parts.push({ offset, bytes })
  }
  if (tables.size !== l2) throw new Error('the maps of a disk do not fit their place')
  const refcountTable = Buffer.alloc(blocks * 8)
  for (let block = 0; block < blocks; block += 1) refcountTable.writeBigUInt64BE(BigInt(at(2 + block)), block * 8)
  const refcounts = Buffer.alloc((total + dataClusters) * 2)
  for (let offset = 1; offset < refcounts.length; offset += 2) refcounts[offset] = 1
  return [
    { offset: 0, bytes: header(layout, at(l1Cluster)) },
    { offset: at(1), bytes: refcountTable },
    { offset: at(2), bytes: refcounts },
    { offset: at(l1Cluster), bytes: l1Table },
    ...parts,
  ]
}

function runsOf(extents: readonly Extent[]): Run[] {
  const runs: Run[] = []
  let rank = 0
  for (const { offset, length } of extents) {
    if (length === 0) continue
    const last = runs.at(-1)
    const end = Math.floor((offset + length - 1) / CLUSTER_BYTES) + 1
    const first = Math.max(Math.floor(offset / CLUSTER_BYTES), last ? last.cluster + last.count : 0)
    const count = end - first
    if (count <= 0) continue // in the cluster of the one before
    if (last && last.cluster + last.count === first) last.count += count
    else runs.push({ cluster: first, count, rank })
    rank += count
  }
  return runs
}

function metadataClusters(virtualSizeBytes: number, runs: readonly Run[], dataClusters: number) {
  const l1 = Math.max(1, Math.ceil((l1Entries(virtualSizeBytes, CLUSTER_BITS, true) * 8) / CLUSTER_BYTES))
  const numbers = new Set<number>()
  for (const { cluster, count } of runs) {
    const last = Math.floor((cluster + count - 1) / CLUSTERS_PER_L2)
    for (let number = Math.floor(cluster / CLUSTERS_PER_L2); number <= last; number += 1) numbers.add(number)
  }
  const l2 = numbers.size
  const others = 2 + l1 + l2
  let blocks = 1
  while (blocks * REFCOUNTS_PER_BLOCK < others + blocks + dataClusters) blocks += 1
  return { blocks, l1, l2, total: others + blocks }
}

/** By number, in the order of the disk. */
function l2Tables({ runs, dataOffset }: StandaloneLayout): Map<number, Buffer> {
  const tables = new Map<number, Buffer>()
  for (const { cluster, count, rank } of runs) {
    for (let index = 0; index < count; index += 1) {
      const number = Math.floor((cluster + index) / CLUSTERS_PER_L2)
      const table = tables.get(number) ?? Buffer.alloc(CLUSTER_BYTES)
      tables.set(number, table)
      const entry = ((cluster + index) % CLUSTERS_PER_L2) * L2_ENTRY_BYTES
      table.writeBigUInt64BE(BigInt(dataOffset + (rank + index) * CLUSTER_BYTES) | COPIED, entry)
      table.writeBigUInt64BE(ALL_ALLOCATED, entry + 8)
    }
  }
  return tables
}

function header({ virtualSizeBytes }: StandaloneLayout, l1Offset: number): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + 8) // eight zeros: no extension
  bytes.writeUInt32BE(0x5146_49fb, 0)
  bytes.writeUInt32BE(3, 4)
  bytes.writeUInt32BE(CLUSTER_BITS, 20)
  bytes.writeBigUInt64BE(BigInt(virtualSizeBytes), 24)
  bytes.writeUInt32BE(l1Entries(virtualSizeBytes, CLUSTER_BITS, true), 36)
  bytes.writeBigUInt64BE(BigInt(l1Offset), 40)
  bytes.writeBigUInt64BE(BigInt(CLUSTER_BYTES), 48)
  bytes.writeUInt32BE(1, 56)
  bytes.writeBigUInt64BE(EXTENDED_L2_BIT, 72)
  bytes.writeUInt32BE(4, 96)
  bytes.writeUInt32BE(HEADER_BYTES, 100)
  return bytes
}
