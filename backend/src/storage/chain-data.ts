import type { FileHandle } from 'node:fs/promises'
import type { Identity } from '../system/identity.js'
import type { Extent } from './chain-files.js'
import { readingChain } from './chain-reader.js'
import { openAll } from './layer-copies.js'
import type { NbdClient } from './nbd-client.js'

/** The content of a disk that stands still, as its guest would read it. */
export interface ChainData {
  /** Fills `into` from this offset of the virtual disk; what no extent holds is zeros. Any number at once. */
  read(offset: number, into: Buffer): Promise<void>
}

/**
 * Reads a chain of disks (nearest first) by its map. What lies as it is in a file is read from there; what is packed or
 * in small pieces is read through a qemu-nbd, which knows every kind of cluster and is started only when there is such.
 * Throws what a file, the server or `use` threw first.
 */
export async function readingData<T>(
  chain: { files: readonly string[]; identity: Identity | undefined; signal: AbortSignal },
  extents: readonly Extent[],
  use: (data: ChainData) => Promise<T>,
): Promise<T> {
  const files = await openAll(chain.files)
  const reader = (disk: NbdClient | null): ChainData => ({
    read: (offset, into) => readByMap({ files, disk, extents }, offset, into),
  })
  try {
    if (extents.every(({ place }) => place !== null)) return await use(reader(null))
    return await readingChain(chain.files, chain.identity, chain.signal, (disk) => use(reader(disk)))
  } finally {
    for (const file of files) await file.close()
  }
}

interface Sources {
  files: readonly FileHandle[]
  disk: NbdClient | null
  extents: readonly Extent[]
}

async function readByMap({ files, disk, extents }: Sources, offset: number, into: Buffer): Promise<void> {
  const end = offset + into.length
  const reads: Promise<void>[] = []
  let from = offset
  let isData = false
  const rest = (to: number) => {
    const part = into.subarray(from - offset, to - offset)
    if (disk && isData) reads.push(readDisk(disk, from, part))
    else part.fill(0)
    isData = false
  }
  for (let index = firstWithin(extents, offset); index < extents.length; index += 1) {
    const extent = extents[index]
    if (!extent || extent.offset >= end) break
    const file = extent.place && files[extent.place.file]
    if (!extent.place || !file) {
      isData = true
      continue
    }
    const [start, stop] = [Math.max(extent.offset, offset), Math.min(extent.offset + extent.length, end)]
    rest(start)
    const part = into.subarray(start - offset, stop - offset)
    reads.push(readWhole(file, extent.place.offset + start - extent.offset, part))
    from = stop
  }
  rest(end)
  await Promise.all(reads)
}

/** The first extent that ends after the offset, by halving. */
function firstWithin(extents: readonly Extent[], offset: number): number {
  let [low, high] = [0, extents.length]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const extent = extents[middle]
    if (extent && extent.offset + extent.length <= offset) low = middle + 1
    else high = middle
  }
  return low
}

/** A disk may end within its last cluster. */
async function readDisk(disk: NbdClient, offset: number, into: Buffer): Promise<void> {
  const there = Math.min(into.length, Math.max(0, disk.sizeBytes - offset))
  into.fill(0, there)
  if (there > 0) await disk.read(offset, into.subarray(0, there))
}

async function readWhole(file: FileHandle, position: number, into: Buffer): Promise<void> {
  for (let at = 0; at < into.length;) {
    const { bytesRead } = await file.read(into, at, into.length - at, position + at)
    if (bytesRead === 0) throw new Error('The file ends before the data that its map names.')
    at += bytesRead
  }
}
