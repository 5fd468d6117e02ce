import { setTimeout as wait } from 'node:timers/promises'
import type { HealthCheck } from '../domain/health.js'
import type { Logger } from './log.js'
import type { Postmaster } from './postgres-process.js'

export interface SupervisorTasks {
  log: Logger
  version: string
  /** One attempt to have a ready server; throws when there is none. */
  start(signal: AbortSignal): Promise<Postmaster>
  stop(postmaster: Postmaster): Promise<string>
  /** Called now and then while it runs. */
  tidy(): Promise<void>
}

export interface Supervisor {
  health(): HealthCheck
  stop(): Promise<void>
}

/** Pause before the n-th start in a row that did not hold; the first one follows at once. */
const PAUSES_MS = [0, 200, 500, 1000, 2000, 5000, 10_000, 30_000]
/** A server that ran this long was well: the next pause is short again. */
const HELD_MS = 60_000
const TIDY_INTERVAL_MS = 60_000
/** A restart is worth a warning this long. */
const NOTEWORTHY_MS = 3_600_000

type Condition =
  | { running: true; pid: number; restarts: number; since: number }
  | { running: false; reason: string; hint: string }

/** Keeps one server running until `stop`. Resolves after the first attempt, however it went. */
export async function supervise(tasks: SupervisorTasks): Promise<Supervisor> {
  const stopping = new AbortController()
  let condition: Condition = { running: false, reason: 'It is starting.', hint: 'Wait a few seconds.' }
  const firstAttempt = new AbortController()

  async function runOnce(restarts: number): Promise<void> {
    const postmaster = await tasks.start(stopping.signal)
    condition = { running: true, pid: postmaster.pid, restarts, since: performance.now() }
    firstAttempt.abort()
    const how = await Promise.race([postmaster.exited, aborted(stopping.signal)])
    if (how === undefined) {
      postmaster.unwatch()
      const took = await tasks.stop(postmaster)
      tasks.log.info({ took }, 'PostgreSQL is stopped')
      return
    }
    throw new Error(`PostgreSQL ended: ${how}`)
  }

  async function keepRunning(): Promise<void> {
    for (let failures = 0, restarts = 0; !stopping.signal.aborted; restarts += 1) {
      const startedAt = performance.now()
      try {
        await runOnce(restarts)
      } catch (error) {
        if (performance.now() - startedAt > HELD_MS) failures = 0
        condition = failed(error)
        tasks.log.error({ err: error, failures }, 'PostgreSQL is down; it is started again')
        firstAttempt.abort()
        await pause(PAUSES_MS[Math.min(failures, PAUSES_MS.length - 1)] ?? 0, stopping.signal)
        failures += 1
      }
    }
  }

  const running = keepRunning()
  const tidying = setInterval(() => {
    tasks.tidy().catch((error: unknown) => tasks.log.warn({ err: error }, 'the log of PostgreSQL could not be cut'))
  }, TIDY_INTERVAL_MS)
  tidying.unref()
  await aborted(firstAttempt.signal)
  return {
    health: () => healthOf(condition, tasks.version),
    async stop() {
      clearInterval(tidying)
      stopping.abort()
      await running
      condition = { running: false, reason: 'It was stopped.', hint: 'Start SandLabX.' }
    },
  }
}

function failed(error: unknown): Condition {
  const hint = error instanceof Error && 'hint' in error && typeof error.hint === 'string' ? error.hint : undefined
  return {
    running: false,
    reason: error instanceof Error ? error.message : String(error),
    hint: hint ?? 'It is started again by itself. If it stays down, see state/postgres.log.',
  }
}

function healthOf(condition: Condition, version: string): HealthCheck {
  const about = { id: 'postgres', title: 'PostgreSQL' }
  if (!condition.running) return { ...about, state: 'failed', message: condition.reason, hint: condition.hint }
  const restarted = condition.restarts === 0 ? '' : `; started again ${condition.restarts} time(s) since SandLabX began`
  const message = `Version ${version}, process ${condition.pid}${restarted}.`
  const quiet = condition.restarts === 0 || performance.now() - condition.since > NOTEWORTHY_MS
  if (quiet) return { ...about, state: 'ok', message, hint: null }
  return { ...about, state: 'warning', message, hint: 'It ended unexpectedly: see state/postgres.log.' }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
}

/** Ends early, without an error, when the signal comes. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await wait(milliseconds, undefined, { signal }).catch(() => undefined)
}
