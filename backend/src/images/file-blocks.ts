import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { SandlabError } from '../domain/error.js'
import { KIB, MIB } from '../domain/units.js'

/** Progress and cancelling of work that goes through a whole file. */
export interface Pace {
  signal?: AbortSignal | undefined
  onBytes?: ((done: number) => void) | undefined
}

const BLOCK_BYTES = 2 * MIB
/** Holes are looked for in pieces of this size: finer would cost time, coarser would fill holes. */
const HOLE_BYTES = 64 * KIB
const ZEROS = Buffer.alloc(HOLE_BYTES)

/** Fills `buffer` from `position`; what lies beyond the file's end stays as it was. Returns the bytes read. */
export async function readAt(file: FileHandle, buffer: Buffer, position: number): Promise<number> {
  let done = 0
  while (done < buffer.length) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}

/** SHA-256 of the first `length` bytes, in lower-case hex. Throws `cancelled`. */
export async function sha256Of(file: FileHandle, length: number, pace: Pace = {}): Promise<string> {
  const hash = createHash('sha256')
  await eachBlock(file, length, pace, async (block) => void hash.update(block))
  return hash.digest('hex')
}

/**
 * Copies the first `length` bytes through descriptors that are already open: what was checked is what is copied,
 * whatever its name points to by now. Zeros become holes. `target` is new and empty. Throws `cancelled`.
 */
export async function copySparsely(
  source: FileHandle,
  target: FileHandle,
  length: number,
  pace: Pace = {},
): Promise<void> {
  await target.truncate(length)
  await eachBlock(source, length, pace, (block, at) => writeSparsely(target, block, at))
}

/** Writes what is not zero; holes stay holes. */
async function writeSparsely(target: FileHandle, block: Buffer, position: number): Promise<void> {
  for (let at = 0; at < block.length; at += HOLE_BYTES) {
    const piece = block.subarray(at, at + HOLE_BYTES)
    if (piece.equals(ZEROS.subarray(0, piece.length))) continue
    let done = 0
    while (done < piece.length) {
      done += (await target.write(piece, done, piece.length - done, position + at + done)).bytesWritten
    }
  }
}

export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new SandlabError('cancelled', 'It was cancelled; nothing was kept.')
}

async function eachBlock(
  file: FileHandle,
  length: number,
  pace: Pace,
  use: (block: Buffer, at: number) => Promise<void>,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(BLOCK_BYTES)
  for (let at = 0; at < length; at += BLOCK_BYTES) {
    throwIfCancelled(pace.signal)
    const wanted = buffer.subarray(0, Math.min(BLOCK_BYTES, length - at))
    const got = await readAt(file, wanted, at)
    if (got < wanted.length) {
      throw new SandlabError(
        'image_refused',
        'The file became shorter while it was read: something else writes to it.',
        {
          hint: 'Wait until it is complete, then try again.',
        },
      )
    }
    await use(wanted, at)
    pace.onBytes?.(at + wanted.length)
  }
}
