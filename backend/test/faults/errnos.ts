import { rm } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { DRILL, type DrillFact, type Ending } from './drill-process.js'
import { makeFixture, type Fixture } from './fixture.js'
import { sampleOf, several } from './kills.js'
import { changingCalls, judge, nameOf, note, strike, type Point } from './points.js'
import { newResult, type PartOptions, type Result } from './result.js'
import { SCENARIOS, scenarioOf } from './scenarios.js'
import { readState } from './checker.js'
import { ERRNOS } from './strace.js'

export interface ErrnoOptions extends PartOptions {
  drill?: string
  /** No more points than these. */
  most?: number | undefined
  /** Every how many-th point of each operation; 1: all. */
  every: number
  only?: Point
}

/** EIO, ENOSPC, EMFILE and EROFS as the answer to each call by which an operation changes anything. */
export async function runErrnos(options: ErrnoOptions): Promise<Result> {
  const result = newResult('a call that fails')
  const fixture = await makeFixture()
  const drill = options.drill ?? DRILL
  const outcomes = new Map<string, number>()
  try {
    const points = options.only ? [options.only] : await allPoints(fixture, drill, options)
    await several(points, async (point, index) => {
      if (index % 100 === 0) options.log(`${index} of ${points.length} failing calls`)
      const dataDir = await fixture.copy(`errno-${index}`)
      const ending = await strike(drill, dataDir, point)
      // Counted writes are also those by which the file thread wakes up Node itself, which can't live without.
      const isNodesOwn = ending.how === 'SIGABRT' && point.syscall === 'write'
      if (!isNodesOwn) {
        const outcome = await judgeFailure(options, result, dataDir, point, ending)
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
      }
      await rm(dataDir, { recursive: true })
    })
    result.note = [...outcomes].map(([outcome, count]) => `${outcome} ${count}`).join(', ')
    return result
  } finally {
    await fixture.remove()
  }
}

/** Answers with what the operation answered. */
async function judgeFailure(
  { log }: PartOptions,
  result: Result,
  dataDir: string,
  point: Point,
  ending: Ending,
): Promise<string> {
  result.points += 1
  const wrong = await wrongIn(dataDir, point, ending)
  const { findings, recoveryMs } = await judge(dataDir, scenarioOf(point.operation), ending.facts)
  findings.half.unshift(...wrong)
  note(result, findings, recoveryMs, nameOf(point), log)
  const acted = ending.facts.find((fact) => fact.kind === 'acted')
  return acted?.kind === 'acted' ? acted.outcome : 'no answer'
}

/** One error for each call: they take turns, and another seed begins with another. */
async function allPoints(fixture: Fixture, drill: string, options: ErrnoOptions): Promise<Point[]> {
  const found: Omit<Point, 'fault'>[][] = []
  await several(SCENARIOS, async ({ name }, index) => {
    const calls = await changingCalls(fixture, drill, name)
    found[index] = calls.map((call) => ({ operation: name, ...call }))
    options.log(`${name}: ${calls.length} calls`)
  })
  return sampleOf(found.flat(), options).map((point, index): Point => {
    return { ...point, fault: ERRNOS[(index + options.seed) % ERRNOS.length] ?? 'EIO' }
  })
}

/** What is wrong before any restart: a death, an unexplained failure, memory that is not the disk, no second try. */
async function wrongIn(dataDir: string, point: Point, { how, facts, stderr }: Ending): Promise<string[]> {
  if (how !== 0) return [`the process ended with ${how}: ${stderr} ${JSON.stringify(facts.at(-1))}`]
  const wrong: string[] = []
  const said = (kind: 'acted' | 'repeated') =>
    facts.find((fact): fact is DrillFact & { kind: 'acted' | 'repeated' } => fact.kind === kind)
  const [acted, repeated] = [said('acted'), said('repeated')]
  if (!acted) wrong.push('it gave no answer')
  // By design: after EIO, and after any fsync that failed, the state is only read until a restart.
  const isLasting = [acted, repeated].some((fact) => fact?.fault === 'state_io')
  if (isLasting && point.fault !== 'EIO' && !point.syscall.endsWith('sync')) {
    wrong.push(`${point.fault} made the state read-only`)
  }
  if (acted && !KNOWN.has(acted.outcome)) wrong.push(`an answer that nobody can read: ${acted.outcome}`)
  if (!isLasting && repeated?.outcome !== 'done') wrong.push(`it does not go on: ${repeated?.outcome}`)
  const memory = facts.find((fact) => fact.kind === 'memory')
  if (memory?.kind === 'memory' && !isLasting) {
    const { nodes, images, layers } = await readState(dataDir, wrong)
    const { kind: _kind, ...believed } = memory
    if (!isDeepStrictEqual({ nodes, images, layers }, believed)) wrong.push('memory is not what the disk has')
  }
  return wrong
}

/** What a failing disk may be answered with. */
const KNOWN = new Set(['done', 'no_space', 'state_io', 'engine_failed', 'starting_up', 'busy'])
