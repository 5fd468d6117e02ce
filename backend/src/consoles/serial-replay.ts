/** RIS: puts any terminal into its first state and clears it. */
export const TERMINAL_RESET = Buffer.from('\u001bc')

const LINE_FEED = 0x0a
/** A longer line than this is cut inside, at a character. */
const LONGEST_LINE_BYTES = 8 * 1024

// DSR (CSI … n), DA (CSI … c) and DECRQM (CSI … $ p): they show nothing, they ask the terminal to type an answer.
// eslint-disable-next-line no-control-regex -- escape sequences begin with a control character
const QUERIES = /\u001b\[[?>=]?[0-9;]*(?:[cn]|\$p)/g

/**
 * What a new viewer is shown of the past: a terminal reset, then `history`. Where older output is missing (`isCut`) it
 * begins at a line, at worst at a whole UTF-8 character. Queries are left out, or each viewer's terminal would type its
 * answer into the guest once more.
 */
export function replayOf(history: Buffer, isCut: boolean): Buffer {
  const shown = isCut ? fromBoundary(history) : history
  const text = shown.toString('latin1') // one character per byte, so nothing but the queries is touched
  return Buffer.concat([TERMINAL_RESET, Buffer.from(text.replaceAll(QUERIES, ''), 'latin1')])
}

/** Drops what is left of a line, or of a character, at the beginning. */
export function fromBoundary(bytes: Buffer): Buffer {
  const lineEnd = bytes.subarray(0, LONGEST_LINE_BYTES).indexOf(LINE_FEED)
  if (lineEnd >= 0) return bytes.subarray(lineEnd + 1)
  let at = 0
  while (at < 3 && isContinuation(bytes[at])) at += 1
  return bytes.subarray(at)
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80
}
