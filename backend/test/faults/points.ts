import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { checkFolder, isClean, type Findings } from './checker.js'
import { startDrill, type DrillFact, type DrillFrom, type Ending } from './drill-process.js'
import type { Fixture } from './fixture.js'
import type { Failure, Result } from './result.js'
import { openRooms, settled } from './rooms.js'
import { scenarioOf, type Scenario } from './scenarios.js'
import { callsIn, inject, record, type Call, type Injection } from './strace.js'

/** One fault at one call of one operation. */
export interface Point extends Injection {
  operation: string
  /** Where an earlier process was killed at this operation: then the fault strikes the start after it. */
  after?: Call
}

/** As `--point` takes it. */
export function nameOf({ operation, after, syscall, nth, fault }: Point): string {
  const earlier = after ? `${operation}:${after.syscall}:${after.nth}+boot` : operation
  return `${earlier}:${syscall}:${nth}${fault === 'KILL' ? '' : `:${fault}`}`
}

/** `create:fsync:3`, `create:fsync:3:EIO`, `create:fsync:3+boot:rename:1`. */
export function parsePoint(text: string): Point {
  const match = /^([a-z-]+):(?:(\w+):(\d+)\+boot:)?(\w+):(\d+)(?::(EIO|ENOSPC|EMFILE|EROFS))?$/.exec(text)
  if (!match) throw new Error(`${text}: a point is <operation>:<syscall>:<n>[:<errno>], or <point>+boot:<syscall>:<n>`)
  const [, operation = '', earlier, earlierNth, syscall = '', nth, errno] = match
  const fault = (errno as Point['fault'] | undefined) ?? 'KILL' // the pattern has these names only
  const after = earlier === undefined ? {} : { after: { syscall: earlier, nth: Number(earlierNth) } }
  return { operation, syscall, nth: Number(nth), fault, ...after }
}

/** The same for every part of a run: counted once. */
const counted = new Map<string, Promise<Call[]>>()

/** The calls by which an operation changes something, by a run in which nothing fails. */
export function changingCalls(fixture: Fixture, drill: string, operation: string, after?: Call): Promise<Call[]> {
  if (after) return countCalls(fixture, drill, operation, after)
  const known = counted.get(operation) ?? countCalls(fixture, drill, operation)
  counted.set(operation, known)
  return known
}

async function countCalls(fixture: Fixture, drill: string, operation: string, after?: Call): Promise<Call[]> {
  const dataDir = await fixture.copy(`count-${operation}`)
  const trace = join(fixture.room, `count-${operation}.trace`)
  if (after) await strike(drill, dataDir, { operation, ...after, fault: 'KILL' })
  const process = startDrill(drill, dataDir, operation, after ? 'boot' : 'act')
  const watch = await record(await process.ready, trace)
  process.go()
  const { how, facts, stderr } = await process.ended
  await watch.ended
  if (how !== 0) throw new Error(`${operation} fails without any fault: ${JSON.stringify(facts)} ${stderr}`)
  await rm(dataDir, { recursive: true })
  return callsIn(await readFile(trace, 'utf8'), dataDir)
}

/** Runs an operation into a point. It ends with SIGKILL; or with 0 when it never came to that call. */
export async function strike(drill: string, dataDir: string, point: Point): Promise<Ending> {
  const earlier = point.after
    ? await strike(drill, dataDir, { operation: point.operation, ...point.after, fault: 'KILL' })
    : undefined
  const process = startDrill(drill, dataDir, point.operation, fromOf(point))
  const watch = await inject(await process.ready, point)
  process.go()
  const ending = await process.ended
  await watch.ended
  return earlier ? { ...ending, facts: [...earlier.facts, ...ending.facts] } : ending
}

function fromOf({ after, fault }: Point): DrillFrom {
  if (after) return 'boot'
  return fault === 'KILL' ? 'act' : 'act-again'
}

/** Starts on what a fault left, checks it, does the operation once more, checks again. */
export async function judge(dataDir: string, scenario: Scenario, facts: readonly DrillFact[]) {
  const began = performance.now()
  const rooms = await openRooms(dataDir)
  const recoveryMs = performance.now() - began
  await settled(rooms)
  const { failed = [], unreadable = [] } = rooms.transactions.recovery ?? {}
  await rooms.close() // what is still to be saved is saved now
  const after = await checkFolder(dataDir)
  const findings = after.findings
  const state = scenario.state(after.seen.data)
  for (const { title, reason } of failed) findings.half.push(`${title} was not recovered: ${reason}`)
  for (const { file, reason } of unreadable) findings.half.push(`${file} is unreadable: ${reason}`)
  // A second try that failed had taken the first one back, to be made again.
  const isTakenBack = facts.some((fact) => fact.kind === 'repeated' && fact.outcome !== 'done')
  const acted = !isTakenBack && facts.some((fact) => fact.kind === 'acted' && fact.outcome === 'done')
  if (state !== 'before' && state !== 'after') findings.half.push(state)
  const wanting = scenario.files?.(after.seen) ?? null
  if (wanting !== null) findings.half.push(wanting)
  if (acted && state !== 'after') findings.lost.push(`acknowledged, and then: ${state}`)
  if (isClean(findings)) findings.half.push(...(await repeated(dataDir, scenario)))
  return { findings, recoveryMs, state }
}

/** Whatever happened, the operation can be done now. */
async function repeated(dataDir: string, scenario: Scenario): Promise<string[]> {
  const rooms = await openRooms(dataDir)
  try {
    await settled(rooms)
    await scenario.ready(rooms)
    await scenario.act(rooms)
  } catch (error) {
    return [`it can't be done once more: ${String(error)}`]
  } finally {
    await rooms.close()
  }
  const { seen, findings } = await checkFolder(dataDir)
  const state = scenario.state(seen.data)
  return [
    ...(state === 'after' ? [] : [`done once more, and then: ${state}`]),
    ...[...findings.half, ...findings.leaked].map((text) => `done once more, and then: ${text}`),
  ]
}

/** Adds what was found to the result, and says at once what is wrong. */
export function note(
  result: Result,
  findings: Findings,
  recoveryMs: number,
  replay: string,
  log: (text: string) => void,
): void {
  result.lost += findings.lost.length
  result.half += findings.half.length
  result.leaked += findings.leaked.length
  result.recoveryMs.push(recoveryMs)
  if (isClean(findings)) return
  const failure = failureOf(findings, replay)
  result.failures.push(failure)
  log(`${replay}: ${failure.what}`)
}

function failureOf({ lost, half, leaked }: Findings, replay: string): Failure {
  const parts = [
    ...lost.map((text) => `LOST ${text}`),
    ...half.map((text) => `HALF ${text}`),
    ...leaked.map((text) => `LEAKED ${text}`),
  ]
  return { what: parts.join('; '), replay }
}

export { scenarioOf }
