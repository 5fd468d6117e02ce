import { isSandlabError, SandlabError, type ErrorCode } from '../domain/error.js'
import { EngineError, type EngineErrorCode } from '../hosts/engine.js'

const CODES: Record<EngineErrorCode, { code: ErrorCode; hint: string }> = {
  conflict: { code: 'wrong_status', hint: 'Look at the node again; its status has changed.' },
  'not-found': { code: 'wrong_status', hint: 'Look at the node again; it is not running.' },
  'no-capacity': { code: 'no_capacity', hint: 'Stop another node first.' },
  'no-space': { code: 'no_space', hint: 'Free disk space, then try again.' },
  locked: { code: 'busy', hint: "Another process holds the node's disk; end it, then try again." },
  'host-unknown': { code: 'engine_unknown', hint: 'Nothing was changed. Wait until its host answers again.' },
  unsupported: { code: 'unsupported', hint: "This engine can't do that." },
  'bad-memory': { code: 'unsupported', hint: 'Start it from its disk instead.' },
  broken: { code: 'node_broken', hint: "The node's Disk page shows the fault; the other nodes are not touched." },
  timeout: { code: 'engine_failed', hint: 'Look at the node again before another try.' },
  lost: { code: 'engine_unknown', hint: 'Look at the node again before another try.' },
  engine: { code: 'engine_failed', hint: "The node's Events page has the last lines of QEMU." },
}

/** Puts an engine's failure into the API's words: what was tried on which node, and the next step. */
export function engineFailure(error: unknown, attempted: string): unknown {
  if (isSandlabError(error) || !(error instanceof EngineError)) return error
  const { code, hint } = CODES[error.code]
  return new SandlabError(code, `${attempted}: ${error.message}`, { hint, cause: error })
}
