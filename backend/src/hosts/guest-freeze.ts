import { setTimeout as delay } from 'node:timers/promises'
import { agentFailure, requireAgent, withAgent } from './agent-line.js'
import { EngineError } from './engine.js'
import type { GuestAgent } from './guest-agent.js'
import { AgentError } from './guest-agent.js'
import { writeLaunchRecord, type LaunchRecord } from './launch-record.js'
import { hasAgentPort } from './machine.js'
import type { EngineContext, Run } from './run.js'

/** Between two tries to thaw a guest whose agent has fallen silent: as often as this at first, then less. */
const FIRST_RETRY_MS = 1000
const LONGEST_RETRY_MS = 60_000
/** A clock that is this near was set, whatever the agent says of the hardware's. */
const NEAR_MS = 5000

/**
 * Does `work` while the guest has written everything out and holds its writes. It is thawed before this settles; when its
 * agent does not let itself be told, that is tried on until it does, by the next engine too. `frozenMs`: how long writes
 * waited. Rejects with EngineError `unsupported` (no agent, or it refuses), `timeout`, or as `work` does.
 */
export async function whileFrozen<T>(
  context: EngineContext,
  run: Run,
  work: () => Promise<T>,
): Promise<{ value: T; frozenMs: number }> {
  await requireAgent(run)
  let begun = false
  try {
    return await withAgent(run, async (agent) => {
      if (run.launch.agentDue) await agent.thaw() // an earlier one could not be thawed yet
      await noteDue(run, true)
      begun = true
      const began = performance.now()
      let value: T
      try {
        await freeze(agent)
        value = await work()
      } finally {
        await thaw(context, run, agent)
      }
      return { value, frozenMs: performance.now() - began }
    })
  } catch (error) {
    throw agentFailure(error)
  } finally {
    if (begun && run.launch.agentDue) void catchUp(context, run)
  }
}

async function freeze(agent: GuestAgent): Promise<void> {
  if ((await agent.freeze()) > 0) return
  throw new EngineError('unsupported', "The guest's agent has found no file system that can be frozen.")
}

/** By the same connection, so that the guest waits as short as can be. What fails is tried again by `catchUp`. */
async function thaw(context: EngineContext, run: Run, agent: GuestAgent): Promise<void> {
  try {
    await agent.thaw()
    await noteDue(run, false)
  } catch (error) {
    context.log.warn({ err: error, nodeId: run.id }, 'a guest could not be thawed yet; it is tried again')
  }
}

/**
 * For a guest that may be frozen, or that went on from its saved memory: thaws it and sets its clock as soon as its agent
 * answers. Resolves when that is done, the node has ended or the engine is closed; never rejects. Without a port at once.
 */
export async function catchUp(context: EngineContext, run: Run): Promise<void> {
  if (!hasAgentPort(run.launch.args)) return
  for (let wait = FIRST_RETRY_MS; isOurs(context, run); wait = Math.min(wait * 2, LONGEST_RETRY_MS)) {
    try {
      await withAgent(run, (agent) => agent.thaw())
      await setGuestTime(context, run)
      await noteDue(run, false)
      context.log.info({ nodeId: run.id }, 'the guest was thawed where it was frozen, and its clock was set')
      return
    } catch (error) {
      context.log.debug({ err: error, nodeId: run.id }, "the guest's agent does not answer yet")
    }
    await delay(wait, undefined, { signal: context.closed, ref: false }).catch(() => undefined)
  }
}

/**
 * Sets the guest's clock to the host's through its agent, as after a resume from saved memory. False where there is no
 * agent, or it refuses. Rejects with AgentError when it does not answer.
 */
export async function setGuestTime(context: EngineContext, run: Run): Promise<boolean> {
  if (!hasAgentPort(run.launch.args)) return false
  return withAgent(run, async (agent) => {
    try {
      await agent.setTime(new Date())
      return true
    } catch (error) {
      if (!(error instanceof AgentError) || error.failure !== 'refused') throw error
      // It sets its own clock first, and refuses when it finds no clock of the hardware to set, too.
      const isSet = Math.abs((await agent.time()).getTime() - Date.now()) < NEAR_MS
      if (!isSet) context.log.warn({ err: error, nodeId: run.id }, "the guest's clock could not be set")
      return isSet
    }
  })
}

/** Noted first, so that a backend that finds it so thaws. */
async function noteDue(run: Run, agentDue: boolean): Promise<void> {
  if (run.launch.agentDue === agentDue) return
  run.launch = { ...run.launch, agentDue }
  let written: LaunchRecord
  do {
    written = run.launch
    await writeLaunchRecord(run.paths.launch, written)
  } while (written !== run.launch) // changed meanwhile: the older one must not be the last
}

function isOurs(context: EngineContext, run: Run): boolean {
  return !context.closed.aborted && !run.ending && context.live.get(run.id) === run
}
