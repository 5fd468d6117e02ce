/**
 * Joins what is known of a serial line to a connection that has just been opened, without a gap and without saying
 * anything twice. QEMU writes each byte to the connected socket and to its log, but tells nobody at which byte of the
 * log a connection began. So the log is read before (`known`) and again after the connection stands (`tail`), and the
 * three streams are laid over each other:
 *
 *     known      ……………………aaaa
 *     tail             ……aaaabbbbcccc      bbbb: written between the first reading and the connection
 *     received                   ccccdd    cccc: in both
 *
 * Answers `bbbb`: what belongs between `known` and `received`. `received` must hold everything that had arrived when
 * the tail was read. Output that only repeats itself (`yes`) fits in several places; then the longest fit is taken,
 * which may be off by whole repetitions and never breaks a line.
 */
export function bytesBetween(known: Buffer, tail: Buffer, received: Buffer): Buffer {
  const news = newsIn(known, tail)
  return news.subarray(0, news.length - overlap(news, received))
}

/** The part of `tail` that comes after `known`. */
function newsIn(known: Buffer, tail: Buffer): Buffer {
  const shared = overlap(known, tail)
  if (shared === tail.length) return tail.subarray(tail.length)
  // The log is written after the socket: it may lag behind what is known, and then it holds no news.
  return known.includes(tail) ? tail.subarray(tail.length) : tail.subarray(shared)
}

/** Length of the longest end of `before` that is also a beginning of `after`. Linear (Knuth, Morris, Pratt). */
export function overlap(before: Buffer, after: Buffer): number {
  const longest = Math.min(before.length, after.length)
  if (longest === 0) return 0
  const pattern = after.subarray(0, longest)
  const fallback = fallbackTable(pattern)
  let matched = 0
  for (const byte of before.subarray(before.length - longest)) {
    while (matched > 0 && pattern[matched] !== byte) matched = fallback[matched - 1]!
    if (pattern[matched] === byte) matched += 1
  }
  return matched
}

function fallbackTable(pattern: Buffer): Uint32Array {
  const table = new Uint32Array(pattern.length)
  let matched = 0
  for (let at = 1; at < pattern.length; at += 1) {
    while (matched > 0 && pattern[matched] !== pattern[at]) matched = table[matched - 1]!
    if (pattern[matched] === pattern[at]) matched += 1
    table[at] = matched
  }
  return table
}
