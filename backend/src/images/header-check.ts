import type { FileHandle } from 'node:fs/promises'
import { formatBytes, MIB } from '../domain/units.js'
import { readAt } from './file-blocks.js'
import { foreignFormat, isQcow2 } from './foreign-formats.js'
import { HEAD_BYTES, SECTOR_BYTES, type ImageLimits } from './image-limits.js'
import { checkQcow2Header } from './qcow2-check.js'
import { checkQcow2Map } from './qcow2-map.js'
import { COPY_AGAIN, refused } from './refusal.js'

/** The header, its extensions and names lie in the first cluster. */
const MAX_CLUSTER_BYTES = 2 * MIB

/** What a checked file is. The format is ours to state from here on; no tool ever guesses it. */
export interface CheckedDisk {
  format: 'qcow2' | 'raw'
  virtualSizeBytes: number
  fileBytes: number
}

/**
 * Our own look at a stranger's disk, before any QEMU tool opens it: the format by content, never by name, and nothing
 * in it that names other files or promises more than it holds. Reads through the given descriptor only.
 *
 * Throws `image_refused` with what was found, why that is dangerous or useless, and how to mend it.
 */
export async function checkDisk(file: FileHandle, limits: ImageLimits): Promise<CheckedDisk> {
  const { size: fileBytes } = await file.stat()
  if (fileBytes === 0) throw refused('The file is empty.', COPY_AGAIN)
  if (fileBytes > limits.maxFileBytes) {
    throw refused(
      `The file has ${formatBytes(fileBytes)}; the largest allowed is ${formatBytes(limits.maxFileBytes)}.`,
      'Give a qcow2 file: it leaves out what is empty. `qemu-img convert -c -O qcow2 OLD NEW.qcow2` makes one.',
      { found: 'size', maximumBytes: limits.maxFileBytes },
    )
  }
  const head = await piece(file, 0, HEAD_BYTES)
  const tail = await piece(file, Math.max(0, fileBytes - SECTOR_BYTES), SECTOR_BYTES)
  const foreign = foreignFormat(head, tail)
  if (foreign) throw foreign
  return isQcow2(head) ? await checkQcow2(file, fileBytes, limits) : checkRaw(fileBytes, limits)
}

async function checkQcow2(file: FileHandle, fileBytes: number, limits: ImageLimits): Promise<CheckedDisk> {
  const firstCluster = await piece(file, 0, MAX_CLUSTER_BYTES)
  const tables = checkQcow2Header(firstCluster, fileBytes, limits)
  await checkQcow2Map(file, fileBytes, tables)
  return { format: 'qcow2', virtualSizeBytes: tables.virtualSizeBytes, fileBytes }
}

function checkRaw(fileBytes: number, limits: ImageLimits): CheckedDisk {
  if (fileBytes % SECTOR_BYTES !== 0) {
    throw refused(
      `The file is no known disk format, and as a raw disk it would end within a sector (${fileBytes} bytes are not a multiple of ${SECTOR_BYTES}).`,
      `Give a qcow2 or raw disk. ${COPY_AGAIN}`,
      { found: 'not a disk' },
    )
  }
  if (fileBytes > limits.maxVirtualBytes) {
    throw refused(
      `The disk has ${formatBytes(fileBytes)}; the largest allowed is ${formatBytes(limits.maxVirtualBytes)}.`,
      'Shrink the disk, then give it again.',
      { found: 'size', maximumBytes: limits.maxVirtualBytes },
    )
  }
  return { format: 'raw', virtualSizeBytes: fileBytes, fileBytes }
}

async function piece(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length)
  return buffer.subarray(0, await readAt(file, buffer, position))
}
