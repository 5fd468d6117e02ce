/** One claim: our way against a plain tool, in the same run on the same machine. */
export interface Bench {
  name: string
  /** The largest ratio (or figure, with `unit`) that still is what we promise. */
  goal: number
  /** Of a figure that no plain tool can stand beside. */
  unit?: string
  run(): Promise<{ ratio: number; detail: string }>
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

/** Runs both in turn, so that a busy neighbour disturbs both; the ratio is of the medians. */
export async function paired(
  ours: () => Promise<unknown>,
  plain: () => Promise<unknown>,
  rounds: number,
): Promise<{ ratio: number; oursMs: number; plainMs: number }> {
  const times = { ours: [] as number[], plain: [] as number[] }
  for (let round = 0; round < rounds; round += 1) {
    times.plain.push(await timed(plain))
    times.ours.push(await timed(ours))
  }
  const [oursMs, plainMs] = [median(times.ours), median(times.plain)]
  return { ratio: oursMs / plainMs, oursMs, plainMs }
}
