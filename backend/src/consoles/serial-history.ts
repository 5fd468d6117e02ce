/**
 * The newest output of a serial line, by absolute offset. Blocks are only ever appended to, so what `read` returned
 * stays as it is while a slow socket still holds it.
 */
export interface SerialHistory {
  /** Offset of the oldest byte that is still held. */
  readonly start: number
  /** Offset after the newest byte: how many bytes there were in all. */
  readonly end: number
  append(chunk: Buffer): void
  /** From `offset` on, at most `maxBytes`, as a view of one block; empty at the end. `offset` is at least `start`. */
  read(offset: number, maxBytes: number): Buffer
  /** A copy of the newest `maxBytes`. */
  tail(maxBytes: number): Buffer
}

interface Block {
  offset: number
  used: number
  bytes: Buffer
}

const BLOCK_BYTES = 64 * 1024
/** From this size on, a chunk becomes a block of its own and is not copied. */
const ADOPT_BYTES = 16 * 1024

/** Holds at least the newest `capacityBytes`, at most two blocks more. */
export function createSerialHistory(capacityBytes: number): SerialHistory {
  const blocks: Block[] = []
  let end = 0

  function dropOld(): void {
    while (blocks.length > 1 && end - capacityBytes >= blocks[1]!.offset) blocks.shift()
  }

  function blockAt(offset: number): Block | undefined {
    return blocks.findLast((block) => block.offset <= offset)
  }

  function copyIn(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      let last = blocks.at(-1)
      if (!last || last.used === last.bytes.length) {
        last = { offset: end, used: 0, bytes: Buffer.allocUnsafeSlow(BLOCK_BYTES) }
        blocks.push(last)
      }
      const copied = chunk.copy(last.bytes, last.used, at)
      last.used += copied
      end += copied
      at += copied
    }
  }

  return {
    get start() {
      return blocks[0]?.offset ?? end
    },
    get end() {
      return end
    },
    append(chunk) {
      if (chunk.length < ADOPT_BYTES) copyIn(chunk)
      else {
        blocks.push({ offset: end, used: chunk.length, bytes: chunk })
        end += chunk.length
      }
      dropOld()
    },
    read(offset, maxBytes) {
      const block = offset < end ? blockAt(offset) : undefined
      if (!block) return Buffer.alloc(0)
      const from = offset - block.offset
      return block.bytes.subarray(from, Math.min(block.used, from + maxBytes))
    },
    tail(maxBytes) {
      const kept = Buffer.concat(blocks.map((block) => block.bytes.subarray(0, block.used)))
      return kept.subarray(Math.max(0, kept.length - maxBytes))
    },
  }
}
