export interface HostileResult {
  ok: boolean
  seed: number
  tried: number
  crafted: number
  mutants: number
  /** Opens of anything but the file itself, its staging folder, our own state and libraries. */
  outsideOpens: number
  connections: number
  /** Tools without their limits, more disk or memory than allowed, files left behind. */
  overruns: number
  /** Verdicts that took longer than 3 s. */
  slow: number
  slowestMs: number
  p99Ms: number
  /** Opens that the kernel saw. */
  opensSeen: number
  toolsRun: Record<string, number>
  peakDiskBytes: number
  peakMemoryBytes: number
  verdicts: Record<string, number>
  /** Crafted files by what they would do. */
  threats: Record<string, number>
  /** The first 50, each with what replays it. */
  failures: string[]
}

export function emptyHostileResult(seed: number): HostileResult {
  return {
    ok: true,
    seed,
    tried: 0,
    crafted: 0,
    mutants: 0,
    outsideOpens: 0,
    connections: 0,
    overruns: 0,
    slow: 0,
    slowestMs: 0,
    p99Ms: 0,
    opensSeen: 0,
    toolsRun: {},
    peakDiskBytes: 0,
    peakMemoryBytes: 0,
    verdicts: {},
    threats: {},
    failures: [],
  }
}
