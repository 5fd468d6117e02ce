import { CLUSTER_BYTES, type StandaloneLayout } from './standalone-layout.js'

/** Copied, hashed, compared and noted at once: the data of a standalone disk in slices of as much. */
export const SEGMENT_BYTES = 64 * CLUSTER_BYTES
/** Asked for at once. More makes qemu-nbd fetch fresh memory for each. */
const READ_BYTES = 2 * CLUSTER_BYTES

/** What one read brings. */
export interface Piece {
  /** In the segment. */
  at: number
  /** On the virtual disk. */
  offset: number
  length: number
}

export function piecesOf(layout: StandaloneLayout, segment: number): Piece[] {
  const first = (segment * SEGMENT_BYTES) / CLUSTER_BYTES
  const end = first + lengthOf(layout, segment) / CLUSTER_BYTES
  return layout.runs.slice(runAt(layout, first)).flatMap(({ cluster, count, rank }) => {
    if (rank >= end) return []
    const from = Math.max(rank, first)
    const to = Math.min(rank + count, end)
    const whole = { at: (from - first) * CLUSTER_BYTES, offset: (cluster + from - rank) * CLUSTER_BYTES }
    return slices(whole, (to - from) * CLUSTER_BYTES)
  })
}

function slices({ at, offset }: Omit<Piece, 'length'>, length: number): Piece[] {
  return Array.from({ length: Math.ceil(length / READ_BYTES) }, (_, index) => ({
    at: at + index * READ_BYTES,
    offset: offset + index * READ_BYTES,
    length: Math.min(READ_BYTES, length - index * READ_BYTES),
  }))
}

/** The run that holds the data cluster of this rank, by halving. */
function runAt({ runs }: StandaloneLayout, rank: number): number {
  let low = 0
  for (let high = runs.length - 1; low < high;) {
    const middle = Math.ceil((low + high) / 2)
    if ((runs[middle]?.rank ?? 0) <= rank) low = middle
    else high = middle - 1
  }
  return low
}

export function segmentsOf({ dataClusters }: StandaloneLayout): number {
  return Math.ceil((dataClusters * CLUSTER_BYTES) / SEGMENT_BYTES)
}

/** Of the first `segments`. */
export function bytesOf({ dataClusters }: StandaloneLayout, segments: number): number {
  return Math.min(segments * SEGMENT_BYTES, dataClusters * CLUSTER_BYTES)
}

export function lengthOf(layout: StandaloneLayout, segment: number): number {
  return bytesOf(layout, segment + 1) - bytesOf(layout, segment)
}

export function offsetOf(layout: StandaloneLayout, segment: number): number {
  return layout.dataOffset + segment * SEGMENT_BYTES
}
