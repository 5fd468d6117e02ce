import { EngineError, type GuestAgentState } from './engine.js'
import { AgentError, ANSWER_MS, connectAgent, type GuestAgent } from './guest-agent.js'
import { hasAgentPort } from './machine.js'
import type { Run } from './run.js'

/** QEMU passes on one connection: whoever comes second waits for the first, on our side. */
const turns = new WeakMap<Run, Promise<unknown>>()
const looks = new WeakMap<Run, Promise<GuestAgentState>>()

/** Asks the guest's agent for something, alone. Rejects with AgentError, or with what `work` rejects with. */
export async function withAgent<T>(
  run: Run,
  work: (agent: GuestAgent) => Promise<T>,
  answerMs: number = ANSWER_MS,
): Promise<T> {
  const before = turns.get(run) ?? Promise.resolve()
  const result = before.then(async () => {
    const agent = await connectAgent(run.paths.agent, answerMs)
    try {
      return await work(agent)
    } finally {
      agent.close()
    }
  })
  turns.set(
    run,
    result.catch(() => undefined),
  )
  return result
}

/** For `guestAgent` of the contract. Those who ask at once hear the same answer. */
export function agentStateOf(run: Run): Promise<GuestAgentState> {
  if (!hasAgentPort(run.launch.args)) return Promise.resolve('absent')
  const known = looks.get(run)
  if (known) return known
  const look = withAgent(run, (agent) => agent.ping())
    .then(
      () => 'answers' as const,
      () => 'silent' as const,
    )
    .finally(() => looks.delete(run))
  looks.set(run, look)
  return look
}

/** Throws `unsupported`, with what to do, unless the guest's agent answers. */
export async function requireAgent(run: Run): Promise<void> {
  const state = await agentStateOf(run)
  if (state === 'absent') throw new EngineError('unsupported', NO_AGENT.absent)
  if (state === 'silent') throw new EngineError('unsupported', NO_AGENT.silent)
}

/** In the contract's words. */
export function agentFailure(error: unknown): unknown {
  if (!(error instanceof AgentError)) return error
  if (error.failure === 'silent' || error.failure === 'closed') {
    return new EngineError('timeout', error.message, { retry: true, cause: error })
  }
  return new EngineError('unsupported', error.message, { cause: error })
}

const NO_AGENT = {
  absent: "It runs without a port for the guest's agent.",
  silent: "The guest's agent does not answer: qemu-guest-agent is not installed, not started yet, or hangs.",
} as const
