import type { Recording } from '../../domain/recording.js'

/** Null: none is. */
export function tooOld(all: readonly Recording[], endedBefore: Date | null): Recording[] {
  if (endedBefore === null) return []
  return all.filter(({ endedAt }) => endedAt !== null && Date.parse(endedAt) < endedBefore.getTime())
}

/** Of each node those that are above its share, the oldest ones. */
export function overShare(newestFirst: readonly Recording[], nodeBytes: number): Recording[] {
  const used = new Map<string, number>()
  return newestFirst.filter(({ nodeId, sizeBytes }) => {
    const bytes = (used.get(nodeId) ?? 0) + sizeBytes
    used.set(nodeId, bytes)
    return bytes > nodeBytes
  })
}
