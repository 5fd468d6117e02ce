/** First bytes of the legacy frame, which the kernel's build makes (lz4_Frame_format.md, "Legacy frame"). */
export const LZ4_MAGIC = 0x184c2102

const MAX_SIZE = 512 * 1024 * 1024
/** Decodes an LZ4 legacy frame of `size` bytes; null when it is not exactly that. Pure. */
export function decodeLz4(frame: Buffer, size: number): Buffer | null {
  if (size > MAX_SIZE || frame.length < 4 || frame.readUInt32LE(0) !== LZ4_MAGIC) return null
  const output = Buffer.alloc(size)
  let read = 4
  let written = 0
  while (read < frame.length) {
    if (read + 4 > frame.length) return null
    const end = read + 4 + frame.readUInt32LE(read)
    if (end > frame.length) return null
    const after = decodeBlock(frame.subarray(read + 4, end), output, written)
    if (after === null) return null
    written = after
    read = end
  }
  return written === size ? output : null
}

/** One block (lz4_Block_format.md) to `output` from `written`; returns where it ends, null when it is damaged. */
function decodeBlock(block: Buffer, output: Buffer, written: number): number | null {
  const first = written
  let read = 0
  let to = written
  const length = (nibble: number): number => {
    let sum = nibble
    if (nibble === 15) {
      let more = 255
      while (more === 255) {
        more = block[read++] ?? -1
        sum += more
      }
    }
    return sum
  }
  while (read < block.length) {
    const token = block[read++] ?? 0
    const literals = length(token >> 4)
    if (read + literals > block.length || to + literals > output.length) return null
    block.copy(output, to, read, read + literals)
    read += literals
    to += literals
    if (read === block.length) return to // the last sequence has no match
    if (read + 2 > block.length) return null
    const from = to - block.readUInt16LE(read)
    read += 2
    const matched = length(token & 15) + 4
    if (from < first || from === to || to + matched > output.length) return null
    copyMatch(output, from, to, matched)
    to += matched
  }
  return null
}

/** The source may overlap the target: then its beginning repeats. */
function copyMatch(output: Buffer, from: number, to: number, length: number): void {
  if (to - from >= length) output.copyWithin(to, from, from + length)
  else for (let index = 0; index < length; index += 1) output[to + index] = output[from + index] ?? 0
}
