/** A fault that was put in and did harm, with the command that does it again. */
export interface Failure {
  what: string
  replay: string
}

/** What one part of `npm run faults` found. */
export interface Result {
  part: string
  /** Faults that were really put in. */
  points: number
  lost: number
  half: number
  leaked: number
  recoveryMs: number[]
  failures: Failure[]
  /** Figures besides, in words. */
  note: string
}

export interface PartOptions {
  seed: number
  /** A sample that takes a minute instead of all of it. */
  short: boolean
  log(text: string): void
}

export function newResult(part: string): Result {
  return { part, points: 0, lost: 0, half: 0, leaked: 0, recoveryMs: [], failures: [], note: '' }
}

/** `share` 0.5: the median. 0 without values. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}

/** Random numbers that a seed repeats: mulberry32. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b_79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
