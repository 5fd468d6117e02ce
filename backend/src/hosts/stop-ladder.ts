import { setTimeout as delay } from 'node:timers/promises'
import { statusAnswerSchema } from '../system/qmp-messages.js'
import { EngineError, type EngineNode, type StopResult } from './engine.js'
import { rungOf } from './endings.js'
import { writeLaunchRecord } from './launch-record.js'
import type { EngineContext, Run } from './run.js'

/** How long the guest has; a second, more impatient stop shortens it. */
export interface Grace {
  leftMs(): number
  shortenTo(graceMs: number): void
}

export function createGrace(graceMs: number): Grace {
  let deadline = performance.now() + graceMs
  return {
    leftMs: () => Math.max(0, deadline - performance.now()),
    shortenTo(ms) {
      deadline = Math.min(deadline, performance.now() + ms)
    },
  }
}

/** How often a shortened grace is noticed. */
const LOOK_MS = 100

/**
 * Ends a run, asking first: the power button, `quit`, SIGTERM, SIGKILL; each next one only when the process still
 * lives. Signals go only to the very process that answered as this node. Says which it took.
 *
 * Throws EngineError `engine` when even SIGKILL did not end it (a process that hangs in the kernel): it is then still
 * there, and a later stop tries again.
 */
export async function stopRun(context: EngineContext, run: Run, grace: Grace): Promise<StopResult> {
  run.rung = 'guest-shutdown'
  run.phase = 'stopping'
  run.reason = null
  await noteStopAsked(context, run)
  const ended = await climb(context, run, grace).catch((error: unknown) => {
    run.rung = null
    throw error
  })
  if (ended) return { node: ended, how: rungOf(run) }
  run.rung = null
  throw new EngineError('engine', 'QEMU did not end, not even by SIGKILL: it hangs in the kernel.', { retry: true })
}

async function climb(context: EngineContext, run: Run, grace: Grace): Promise<EngineNode | null> {
  return (
    (await askGuest(context, run, grace)) ??
    (await quitQemu(context, run)) ??
    (await signalRun(context, run, 'sigterm', 'SIGTERM')) ??
    (await signalRun(context, run, 'sigkill', 'SIGKILL'))
  )
}

/** So that a backend that is started again knows an asked end from a crash. */
async function noteStopAsked(context: EngineContext, run: Run): Promise<void> {
  run.launch = { ...run.launch, stopAsked: true }
  try {
    await writeLaunchRecord(run.paths.launch, run.launch)
  } catch (error) {
    context.log.warn({ err: error, nodeId: run.id }, 'the wish to stop could not be noted; it is stopped all the same')
  }
}

async function askGuest(context: EngineContext, run: Run, grace: Grace): Promise<EngineNode | null> {
  if (grace.leftMs() === 0) return null
  let pressAgainAt = 0
  while (grace.leftMs() > 0) {
    if (performance.now() >= pressAgainAt) {
      if (!(await pressPowerButton(run))) return endedWithin(context, run, 0)
      pressAgainAt = performance.now() + context.timings.powerButton
    }
    const ended = await endedWithin(context, run, Math.min(LOOK_MS, grace.leftMs()))
    if (ended) return ended
  }
  return null
}

/** False when there is no use in waiting: QEMU does not answer, or the guest is paused and stays so. */
async function pressPowerButton(run: Run): Promise<boolean> {
  try {
    if (!run.qmp) return false
    const { running } = await run.qmp.execute('query-status', statusAnswerSchema)
    if (!running) {
      await run.qmp.run('cont')
      const again = await run.qmp.execute('query-status', statusAnswerSchema)
      if (!again.running) return false
    }
    await run.qmp.run('system_powerdown')
    return true
  } catch {
    return false // silent, or just ended: the next rung, or its end, follows
  }
}

async function quitQemu(context: EngineContext, run: Run): Promise<EngineNode | null> {
  run.rung = 'quit'
  try {
    if (!run.qmp) return await endedWithin(context, run, 0)
    await run.qmp.run('quit')
  } catch {
    if (run.qmp) return endedWithin(context, run, 0) // it does not answer: no use in waiting for it
  }
  return endedWithin(context, run, context.timings.quit)
}

async function signalRun(
  context: EngineContext,
  run: Run,
  rung: 'sigterm' | 'sigkill',
  signal: 'SIGTERM' | 'SIGKILL',
): Promise<EngineNode | null> {
  run.rung = rung
  await context.housing.signal(run, signal)
  return endedWithin(context, run, context.timings.signal)
}

/** Throws EngineError `lost` when the engine is closed meanwhile: the ladder is then climbed no further. */
async function endedWithin(context: EngineContext, run: Run, ms: number): Promise<EngineNode | null> {
  const over = new AbortController()
  const waited = AbortSignal.any([over.signal, context.closed])
  try {
    return await Promise.race([run.ended, delay(ms, null, { signal: waited })])
  } catch (error) {
    throw new EngineError('lost', 'The engine was closed during the stop.', { retry: true, cause: error })
  } finally {
    over.abort()
  }
}
