import { constants } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { formatBytes } from '../domain/units.js'
import { wholeSectors } from '../system/qcow2-overlay.js'
import { l1Entries, readQcow2Header, type Qcow2Header } from '../system/qcow2.js'

/** Virtual size (8 bytes), encryption (4), entries of the L1 table (4): see system/qcow2.ts. */
const SIZE_OFFSET = 24

/**
 * Gives the disk of a stopped node another virtual size, durably, by one write of 16 bytes within one sector: after a power
 * cut it has the old size or the new one. Its L1 table has room for that in its cluster. Having the size already is
 * success. To make it smaller is only for taking back a growth that no guest has seen.
 *
 * Throws `unsupported` when its table has no room, `image_refused` for a broken header; leaves it as it was.
 */
export async function resizeDisk(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const header = await readQcow2Header(file)
    const size = wholeSectors(sizeBytes)
    const entries = Math.max(1, l1Entries(size, header.clusterBits, header.incompatible.includes('extended-l2')))
    if (header.virtualSizeBytes === size) return await file.sync()
    await requireRoom(file, header, { name: basename(path), size, entries })
    const fields = Buffer.alloc(16)
    fields.writeBigUInt64BE(BigInt(size), 0)
    fields.writeUInt32BE(header.cryptMethod, 8)
    // Never fewer: an entry that is there may be in use.
    fields.writeUInt32BE(Math.max(entries, header.l1Size), 12)
    await file.write(fields, 0, fields.length, SIZE_OFFSET)
    await file.sync()
  } finally {
    await file.close()
  }
}

interface Wanted {
  name: string
  size: number
  entries: number
}

/** The table's new entries lie in its last cluster, which nothing else uses; they must say that there is nothing. */
async function requireRoom(file: FileHandle, header: Qcow2Header, { name, size, entries }: Wanted): Promise<void> {
  const clusterBytes = 2 ** header.clusterBits
  const room = Math.max(1, Math.ceil((header.l1Size * 8) / clusterBytes)) * clusterBytes
  const start = header.l1Size * 8
  const fresh = Buffer.alloc(Math.max(0, entries * 8 - start))
  if (entries * 8 <= room) await file.read(fresh, 0, fresh.length, header.l1TableOffset + start)
  if (entries * 8 <= room && fresh.every((byte) => byte === 0) && header.snapshotCount === 0) return
  throw new SandlabError(
    'unsupported',
    `${name} can't grow to ${formatBytes(size)}: its tables have no room for that.`,
    {
      hint: 'Add another drive instead. Nothing was changed.',
    },
  )
}
