import { rm } from 'node:fs/promises'
import { DRILL } from './drill-process.js'
import type { Fixture } from './fixture.js'
import { makeFixture } from './fixture.js'
import { changingCalls, judge, nameOf, note, strike, type Point } from './points.js'
import { newResult, type PartOptions, type Result } from './result.js'
import { procedureKinds } from './rooms.js'
import { SCENARIOS, scenarioOf } from './scenarios.js'

/** Points that are tried at the same time. */
const AT_ONCE = 3
/** Kills of one operation after which the next start is killed too, at each of its calls. */
const RESTARTS_KILLED = 2
/** In a sample: one of so many operations has the start after it killed. */
const RESTARTS_SAMPLED = 5

export interface KillOptions extends PartOptions {
  drill?: string
  /** No more points than these. */
  most?: number | undefined
  /** Every how many-th point of each operation; 1: all. */
  every: number
  only?: Point
}

/** A procedure without a scenario would go untried: an error, not a gap. */
export function requireAllProcedures(): void {
  const covered = new Set(SCENARIOS.flatMap(({ kinds }) => kinds))
  const missing = procedureKinds().filter((kind) => !covered.has(kind))
  if (missing.length > 0) throw new Error(`no scenario in test/faults/scenarios.ts for: ${missing.join(', ')}`)
}

/** kill -9 before each call by which an operation, or the start after one, changes anything. */
export async function runKills(options: KillOptions): Promise<Result> {
  requireAllProcedures()
  const result = newResult('kill -9 at a call')
  const fixture = await makeFixture()
  const drill = options.drill ?? DRILL
  try {
    const points = options.only ? [options.only] : await allPoints(fixture, drill, options)
    let survived = 0
    await several(points, async (point, index) => {
      if (index % 100 === 0) options.log(`${index} of ${points.length} kills`)
      const dataDir = await fixture.copy(`kill-${index}`)
      const { how, facts, stderr } = await strike(drill, dataDir, point)
      if (how === 'SIGKILL') result.points += 1
      else if (how === 0) survived += 1
      else result.failures.push({ what: `it ended with ${how}: ${stderr}`, replay: nameOf(point) })
      const { findings, recoveryMs } = await judge(dataDir, scenarioOf(point.operation), facts)
      note(result, findings, recoveryMs, nameOf(point), options.log)
      await rm(dataDir, { recursive: true })
    })
    result.note = `${survived} runs came to no such call`
    return result
  } finally {
    await fixture.remove()
  }
}

/** Each call of each operation; and each call of the start after a kill at some of them. */
async function allPoints(fixture: Fixture, drill: string, options: KillOptions): Promise<Point[]> {
  const found: Point[][] = []
  await several(SCENARIOS, async ({ name }, index) => {
    const calls = await changingCalls(fixture, drill, name)
    const points: Point[] = calls.map((call) => ({ operation: name, ...call, fault: 'KILL' as const }))
    // A sample looks at the starts of some operations only: each has to be counted by itself.
    const restarts = options.short ? (index % RESTARTS_SAMPLED === 0 ? 1 : 0) : RESTARTS_KILLED
    for (const after of spread(calls, restarts)) {
      const recovering = await changingCalls(fixture, drill, name, after)
      points.push(...recovering.map((call) => ({ operation: name, after, ...call, fault: 'KILL' as const })))
    }
    options.log(`${name}: ${calls.length} calls, and ${points.length - calls.length} of starts after a kill`)
    found[index] = points
  })
  return sampleOf(found.flat(), options)
}

/** Every how many-th; and no more than `most`, in even steps. Pure. */
export function sampleOf<T>(points: readonly T[], { every, most }: { every: number; most?: number | undefined }): T[] {
  const step = most === undefined ? every : Math.max(every, Math.ceil(points.length / most))
  return points.filter((_, index) => index % step === 0)
}

/** So many of them, from the middle outwards in even steps. */
function spread<T>(items: readonly T[], count: number): T[] {
  return Array.from({ length: count }, (_, index) => items[Math.floor(((index + 0.5) * items.length) / count)]).filter(
    (item) => item !== undefined,
  )
}

/** Works on the items a few at a time; the first error is thrown when those under way have ended. */
export async function several<T>(items: readonly T[], work: (item: T, index: number) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async () => {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index]
      if (item !== undefined) await work(item, index)
    }
  }
  const ended = await Promise.allSettled(Array.from({ length: AT_ONCE }, lane))
  const failed = ended.find((one) => one.status === 'rejected')
  if (failed) throw failed.reason
}
