/** A node that runs when SandLabX is told to end, and whose memory is to be saved. */
export interface Waiting {
  id: string
  /** What its memory may need on the disk. */
  bytes: number
  /** When its guest last did something that can be seen from outside; milliseconds since 1970. */
  usedAt: number
}

/** How much of the time that is left may be planned for: the rest is for what nobody can foresee. */
const PLANNED_SHARE = 0.8

/** Most lately used first: what has been idle longest is given up first. Pure. */
export function inOrder<T extends Waiting>(nodes: readonly T[]): T[] {
  return nodes.toSorted((one, other) => other.usedAt - one.usedAt)
}

/** Those for which there is no room when the ones before them have theirs. `room`: bytes, without margin. Pure. */
export function withoutRoom<T extends Waiting>(ordered: readonly T[], room: number): T[] {
  let left = room
  return ordered.filter(({ bytes }) => {
    if (bytes > left) return true
    left -= bytes
    return false
  })
}

/**
 * Those at the end of the queue that can't be saved in the time that is left. `bytesPerMs`: as measured until now; 0: not
 * known yet. Pure.
 */
export function withoutTime<T extends Waiting>(
  queue: readonly T[],
  { bytesPerMs, leftMs }: { bytesPerMs: number; leftMs: number },
): T[] {
  if (leftMs <= 0) return [...queue]
  if (bytesPerMs <= 0) return []
  let planned = leftMs * PLANNED_SHARE * bytesPerMs
  const first = queue.findIndex(({ bytes }) => (planned -= bytes) < 0)
  return first < 0 ? [] : queue.slice(first)
}
