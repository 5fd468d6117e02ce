import type { NodeId } from '../domain/ids.js'
import { EngineError, type NodeEngine } from '../hosts/engine.js'

/** Where a console's stream has ended although nobody closed it. */
export type EndCause = 'node-stopped' | 'unavailable'

/** Whether the node still runs, as far as the engine knows. A silent host or engine is no reason to give up. */
export async function isRunning(engine: NodeEngine, nodeId: NodeId): Promise<boolean> {
  try {
    const { phase } = await engine.inspect(nodeId)
    return phase !== 'stopped' && phase !== 'absent' && phase !== 'failed'
  } catch (error) {
    return !isNotFound(error)
  }
}

/** The engine may notice the end of a node a moment after its streams have closed. */
const NOTICE_MS = [0, 100, 300, 500]

/** Why a console's stream has ended: because the node has, or for a reason of its own. */
export async function causeOfEnd(engine: NodeEngine, nodeId: NodeId, signal: AbortSignal): Promise<EndCause> {
  for (const ms of NOTICE_MS) {
    await pause(ms, signal)
    if (!(await isRunning(engine, nodeId))) return 'node-stopped'
  }
  return 'unavailable'
}

export function isNotFound(error: unknown): boolean {
  return error instanceof EngineError && error.code === 'not-found'
}

/** Waits, not keeping the process alive; at once when `signal` aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    timer.unref()
    signal.addEventListener('abort', done)
  })
}
