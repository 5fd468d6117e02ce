import { createHash } from 'node:crypto'
import { mkdir, open, stat, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { SandlabError } from '../domain/error.js'
import { fsyncDirectory } from '../system/durable-file.js'
import type { Identity } from '../system/identity.js'
import { wholeSectors } from '../system/qcow2-overlay.js'
import { readingData, type ChainData } from './chain-data.js'
import { mapChain, type Extent } from './chain-files.js'
import { notesOf, openCopyLog, type CopyLog, type Notes } from './copy-log.js'
import { copyFailure } from './layer-copies.js'
import { CLUSTER_BYTES, standaloneLayout, standaloneMetadata, type StandaloneLayout } from './standalone-layout.js'
import { bytesOf, lengthOf, offsetOf, piecesOf, SEGMENT_BYTES, segmentsOf } from './standalone-segments.js'

export interface StandaloneCopy {
  /** The chain to be copied, nearest first: absolute paths of files that stand still. */
  files: readonly string[]
  /** Who may read them. */
  identity: Identity | undefined
  virtualSizeBytes: number
  /** The file to be written; beside it `<target>.log` keeps how far it is. */
  target: string
  signal: AbortSignal
  /** Bytes that are written and compared. */
  onBytes(done: number, total: number): void
}

const AT_ONCE = 3
/**
 * Hashed, written and read back at once: a hash of as much takes half a millisecond, it stays in the processor's cache,
 * and a kernel that makes room in one piece for what one call writes takes twice as long for more.
 */
const SLICE_BYTES = 8 * CLUSTER_BYTES

/**
 * Makes one qcow2 file that needs no other of all that a chain holds. Each segment is hashed as it was read, and compared
 * byte by byte with what was written. After a kill it goes on where the log says, when the chain is the same and what is
 * there still has its checksum. The file is fsynced; answers with the sha256 over all segments.
 *
 * Throws `checksum_mismatch`, `no_space`, `cancelled`, `node_broken`; what was written stays for another try.
 */
export async function copyStandalone(copy: StandaloneCopy): Promise<{ sha256: string; resumedBytes: number }> {
  try {
    await mkdir(dirname(copy.target), { recursive: true, mode: 0o700 })
    const extents = await mapChain(copy.files, copy.identity, copy.signal)
    const layout = standaloneLayout(wholeSectors(copy.virtualSizeBytes), extents)
    const file = await openForCopy(copy.target)
    const log = await openCopyLog(`${copy.target}.log`, await keyOf(copy, layout))
    try {
      const resumed = await verifiedSegments(file, log, layout, copy)
      const notes = notesOf(file, log)
      // Also what a stop of SandLabX interrupts is noted, for the next start.
      try {
        await copySegments({ ...copy, extents }, layout, file, { log, notes, from: resumed })
      } finally {
        await notes.end()
      }
      await finish(file, layout)
      await fsyncDirectory(dirname(copy.target))
      return { sha256: log.total(), resumedBytes: bytesOf(layout, resumed) }
    } finally {
      await log.close()
      await file.close()
    }
  } catch (error) {
    if (copy.signal.aborted) throw new SandlabError('cancelled', 'The copy was cancelled.', { cause: error })
    throw copyFailure('the disk', error)
  }
}

async function openForCopy(path: string): Promise<FileHandle> {
  const file = await open(path, 'a', 0o600)
  await file.close()
  return open(path, 'r+')
}

/** What is copied, and from what: another source or another content is another copy. */
async function keyOf({ files }: StandaloneCopy, layout: StandaloneLayout): Promise<string> {
  const sources = await Promise.all(files.map((file) => stat(file)))
  const facts = sources.map(({ size, mtimeMs }) => ({ size, mtimeMs }))
  return createHash('sha256').update(JSON.stringify({ facts, layout })).digest('hex')
}

/** How many segments from before still are what they were; what comes after them is cut off. */
async function verifiedSegments(
  file: FileHandle,
  log: CopyLog,
  layout: StandaloneLayout,
  copy: StandaloneCopy,
): Promise<number> {
  let good = 0
  const room = log.segments().length > 0 ? Buffer.allocUnsafe(SEGMENT_BYTES) : Buffer.alloc(0)
  for (const expected of log.segments()) {
    copy.signal.throwIfAborted()
    const found = await sha256(await readBack(file, offsetOf(layout, good), room.subarray(0, lengthOf(layout, good))))
    if (found !== expected) break
    good += 1
    copy.onBytes(bytesOf(layout, good), bytesOf(layout, segmentsOf(layout)))
  }
  await log.keep(good)
  await file.truncate(good === 0 ? 0 : layout.dataOffset + bytesOf(layout, good))
  return good
}

async function copySegments(
  copy: StandaloneCopy & { extents: readonly Extent[] },
  layout: StandaloneLayout,
  file: FileHandle,
  { log, notes, from }: { log: CopyLog; notes: Notes; from: number },
): Promise<void> {
  const count = segmentsOf(layout)
  if (from >= count) return
  await readingData(copy, copy.extents, async (data) => {
    const rooms = Array.from({ length: Math.min(AT_ONCE, count - from) }, segmentRoom)
    const under = new Map<number, Promise<string>>()
    let next = from
    for (let done = from; done < count; done += 1) {
      while (next < count && under.size < AT_ONCE) {
        const room = rooms[next % AT_ONCE] ?? segmentRoom() // free again: the one before it has been awaited
        const work = copySegment({ data, file, layout, signal: copy.signal }, next, room)
        work.catch(() => undefined) // awaited in its turn
        under.set(next, work)
        next += 1
      }
      log.add((await under.get(done)) ?? '')
      under.delete(done)
      copy.onBytes(bytesOf(layout, done + 1), bytesOf(layout, count))
      notes.begin()
    }
  })
}

/** For one segment at a time: fresh memory for each would cost more than the hash. */
interface SegmentRoom {
  read: Buffer
  /** A slice of what was written. */
  written: Buffer
}

function segmentRoom(): SegmentRoom {
  return { read: Buffer.allocUnsafe(SEGMENT_BYTES), written: Buffer.allocUnsafe(SLICE_BYTES) }
}

interface Copying {
  data: ChainData
  file: FileHandle
  layout: StandaloneLayout
  signal: AbortSignal
}

/** Answers with the sha256 of what was read, once what was written is the same. */
async function copySegment(
  { data, file, layout, signal }: Copying,
  segment: number,
  room: SegmentRoom,
): Promise<string> {
  signal.throwIfAborted()
  const bytes = room.read.subarray(0, lengthOf(layout, segment))
  await Promise.all(
    piecesOf(layout, segment).map(({ at, offset, length }) => data.read(offset, bytes.subarray(at, at + length))),
  )
  const hash = createHash('sha256')
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    const slice = bytes.subarray(at, at + SLICE_BYTES)
    const offset = offsetOf(layout, segment) + at
    const writing = writeData(file, slice, offset)
    hash.update(slice)
    await writing
    const written = await readBack(file, offset, room.written.subarray(0, slice.length))
    if (!slice.equals(written)) throw await differs(slice, written)
  }
  return hash.digest('hex')
}

async function differs(read: Buffer, written: Buffer): Promise<SandlabError> {
  return new SandlabError(
    'checksum_mismatch',
    'What was written is not what was read: the disk or the memory is faulty.',
    {
      hint: 'Nothing was changed. Look at the kernel log and the disk before another try.',
      details: { read: await sha256(read), written: await sha256(written) },
    },
  )
}

const ZEROS = Buffer.alloc(CLUSTER_BYTES)

/** Clusters of zeros stay holes. */
async function writeData(file: FileHandle, bytes: Buffer, offset: number): Promise<void> {
  const isZero = (at: number) => bytes.subarray(at, at + CLUSTER_BYTES).equals(ZEROS)
  for (let at = 0; at < bytes.length;) {
    if (isZero(at)) {
      at += CLUSTER_BYTES
      continue
    }
    let end = at + CLUSTER_BYTES
    while (end < bytes.length && !isZero(end)) end += CLUSTER_BYTES
    await file.write(bytes, at, end - at, offset + at)
    at = end
  }
}

/** Fills `into`. */
async function readBack(file: FileHandle, offset: number, into: Buffer): Promise<Buffer> {
  const { bytesRead } = await file.read(into, 0, into.length, offset)
  return into.fill(0, bytesRead) // zeros at the end are not written yet
}

/** In slices, between which the backend answers others; no copy of the bytes is made. */
async function sha256(bytes: Buffer): Promise<string> {
  const hash = createHash('sha256')
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    hash.update(bytes.subarray(at, at + SLICE_BYTES))
    await setImmediate()
  }
  return hash.digest('hex')
}

async function finish(file: FileHandle, layout: StandaloneLayout): Promise<void> {
  for (const { offset, bytes } of standaloneMetadata(layout)) await file.write(bytes, 0, bytes.length, offset)
  await file.truncate(layout.fileBytes)
  await file.sync()
}
