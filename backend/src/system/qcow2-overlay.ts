import { open } from 'node:fs/promises'
import { SandlabError } from '../domain/error.js'
import type { Identity } from './identity.js'
import { l1Entries } from './qcow2.js'

/** 128 KiB clusters with sub-clusters of 4 KiB: 16 times less disk than QEMU's default for random small writes. */
const CLUSTER_BITS = 17
const CLUSTER_BYTES = 2 ** CLUSTER_BITS
const EXTENDED_L2_BIT = 1n << 4n
const HEADER_BYTES = 104
const SECTOR_BYTES = 512

export interface OverlayPlan {
  /** As it is to stand in the header, relative to the overlay's folder. At most 1023 bytes. Null: it stands alone. */
  backingFile: string | null
  /** Rounded up to whole sectors, as qemu-img does. */
  virtualSizeBytes: number
}

/** Disks end on a whole sector of 512 bytes. */
export function wholeSectors(bytes: number): number {
  return Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES
}

/**
 * The metadata of an empty overlay, like `qemu-img create -o cluster_size=128k,extended_l2=on -F qcow2 -b …`: cluster 0
 * the header, 1 the refcount table, 2 the one refcount block, then the L1 table. Pure: `parts` is what is not zero,
 * `fileBytes` the length of the file.
 */
export function overlayMetadata(plan: OverlayPlan): { parts: { offset: number; bytes: Buffer }[]; fileBytes: number } {
  const backing = Buffer.from(plan.backingFile ?? '', 'utf8')
  if (plan.backingFile === '' || backing.length > 1023) {
    throw new SandlabError('image_refused', "Could not make an overlay: the path of its base doesn't fit its header.")
  }
  const size = wholeSectors(plan.virtualSizeBytes)
  const l1Size = l1Entries(size, CLUSTER_BITS, true)
  const l1Clusters = Math.max(1, Math.ceil((l1Size * 8) / CLUSTER_BYTES))
  const clusters = 3 + l1Clusters
  const extension = plan.backingFile === null ? Buffer.alloc(0) : backingFormatExtension('qcow2')
  const backingOffset = HEADER_BYTES + extension.length + 8
  const header = Buffer.alloc(backingOffset + backing.length)
  header.writeUInt32BE(0x5146_49fb, 0)
  header.writeUInt32BE(3, 4)
  header.writeBigUInt64BE(BigInt(plan.backingFile === null ? 0 : backingOffset), 8)
  header.writeUInt32BE(backing.length, 16)
  header.writeUInt32BE(CLUSTER_BITS, 20)
  header.writeBigUInt64BE(BigInt(size), 24)
  header.writeUInt32BE(l1Size, 36)
  header.writeBigUInt64BE(BigInt(3 * CLUSTER_BYTES), 40)
  header.writeBigUInt64BE(BigInt(CLUSTER_BYTES), 48)
  header.writeUInt32BE(1, 56)
  header.writeBigUInt64BE(EXTENDED_L2_BIT, 72)
  header.writeUInt32BE(4, 96)
  header.writeUInt32BE(HEADER_BYTES, 100)
  extension.copy(header, HEADER_BYTES)
  backing.copy(header, backingOffset)
  const refcountTable = Buffer.alloc(8)
  refcountTable.writeBigUInt64BE(BigInt(2 * CLUSTER_BYTES))
  const refcounts = Buffer.alloc(2 * clusters)
  for (let cluster = 0; cluster < clusters; cluster += 1) refcounts.writeUInt16BE(1, 2 * cluster)
  const parts = [header, refcountTable, refcounts].map((bytes, index) => ({ offset: index * CLUSTER_BYTES, bytes }))
  return { parts, fileBytes: clusters * CLUSTER_BYTES }
}

/**
 * Writes an empty overlay to a new file and fsyncs it; the rest of the file is holes. The base is not opened. Rejects
 * with EEXIST when the file is there; after another failure the caller removes what it staged.
 */
export async function writeQcow2Overlay(
  path: string,
  plan: OverlayPlan,
  options: { mode?: number; owner?: Identity | undefined } = {},
): Promise<void> {
  const { parts, fileBytes } = overlayMetadata(plan)
  const file = await open(path, 'wx', options.mode ?? 0o600)
  try {
    for (const { offset, bytes } of parts) await file.write(bytes, 0, bytes.length, offset)
    await file.truncate(fileBytes)
    if (options.owner) await file.chown(options.owner.uid, options.owner.gid)
    await file.sync()
  } finally {
    await file.close()
  }
}

function backingFormatExtension(format: string): Buffer {
  const extension = Buffer.alloc(8 + Math.ceil(format.length / 8) * 8)
  extension.writeUInt32BE(0xe279_2aca, 0)
  extension.writeUInt32BE(format.length, 4)
  extension.write(format, 8, 'latin1')
  return extension
}
