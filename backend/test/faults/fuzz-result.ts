export interface FuzzOptions {
  seed: number
  count: number
  log: (line: string) => void
  /** Only this one again. */
  index?: number
}

export interface FuzzResult {
  ok: boolean
  seed: number
  tried: number
  /** 5xx whose code its route does not announce, and every `internal`. */
  undocumented: number
  /** Errors without the shape that every error has. */
  shapeless: number
  /** No answer within 20 s, or none at all on a connection that was in order. */
  unanswered: number
  /** How often the backend's process ended. */
  exits: number
  /** Of the resident memory, from after the warm-up to the end, garbage collected: 0.1 is 10 %. */
  memoryGrowth: number
  memoryBytes: { before: number; after: number }
  heapBytes: { before: number; after: number }
  p50Ms: number
  p99Ms: number
  slowestMs: number
  /** Which one that was, with what replays it. */
  slowest: string
  perSecond: number
  statuses: Record<string, number>
  failures: string[]
}

export interface SocketFuzzResult {
  ok: boolean
  seed: number
  /** Messages, frames and upgrades. */
  tried: number
  sessions: number
  upgrades: number
  messages: number
  /** Malformed upgrades that became a console. */
  wronglyOpened: number
  /** Upgrades answered with a 5xx. */
  undocumented: number
  unanswered: number
  exits: number
  memoryGrowth: number
  memoryBytes: { before: number; after: number }
  heapBytes: { before: number; after: number }
  /** From a console's upgrade to its first word, in the midst of all this. */
  p99OpenMs: number
  /** How sessions and upgrades ended: the close code or the HTTP status. */
  ends: Record<string, number>
  failures: string[]
}

export const MAX_MEMORY_GROWTH = 0.1
/** Shorter runs tell their growth and are not judged by it: what is compiled and cached once has not settled. */
export const SETTLED = 10_000
export function emptyFuzzResult(seed: number): FuzzResult {
  return {
    ok: true,
    seed,
    tried: 0,
    undocumented: 0,
    shapeless: 0,
    unanswered: 0,
    exits: 0,
    memoryGrowth: 0,
    memoryBytes: { before: 0, after: 0 },
    heapBytes: { before: 0, after: 0 },
    p50Ms: 0,
    p99Ms: 0,
    slowestMs: 0,
    slowest: '',
    perSecond: 0,
    statuses: {},
    failures: [],
  }
}

export function emptySocketResult(seed: number): SocketFuzzResult {
  return {
    ok: true,
    seed,
    tried: 0,
    sessions: 0,
    upgrades: 0,
    messages: 0,
    wronglyOpened: 0,
    undocumented: 0,
    unanswered: 0,
    exits: 0,
    memoryGrowth: 0,
    memoryBytes: { before: 0, after: 0 },
    heapBytes: { before: 0, after: 0 },
    p99OpenMs: 0,
    ends: {},
    failures: [],
  }
}
