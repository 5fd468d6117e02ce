import { setTimeout as delay } from 'node:timers/promises'
import { QmpError } from '../system/qmp.js'
import { EngineError } from './engine.js'
import { isQcode } from './keymap.js'
import type { Run } from './run.js'

/** A key stays down this long; a guest under TCG reads the keyboard well within it. */
const HOLD_MS = 12
/** Until the next stroke: the keyboard's own queue has 16 bytes. */
const PAUSE_MS = 8

/** Strokes of one node follow each other, whoever asks. */
const queues = new WeakMap<Run, Promise<void>>()

/**
 * Presses keys together, by their QEMU names, and lets go. Resolves when the next stroke may follow. Throws EngineError
 * `unsupported` for a key that no PC keyboard has, `host-unknown` when QEMU does not answer.
 */
export function pressKeys(run: Run, keys: string[]): Promise<void> {
  const unknown = keys.find((key) => !isQcode(key))
  if (unknown !== undefined) {
    return Promise.reject(new EngineError('unsupported', `There is no key named ${JSON.stringify(unknown)}.`))
  }
  const before = queues.get(run) ?? Promise.resolve()
  const stroke = before.catch(() => undefined).then(() => pressNow(run, keys))
  queues.set(run, stroke)
  return stroke
}

async function pressNow(run: Run, keys: string[]): Promise<void> {
  if (!run.qmp) throw new EngineError('host-unknown', 'QEMU does not answer.', { retry: true })
  try {
    await run.qmp.run('send-key', {
      keys: keys.map((key) => ({ type: 'qcode', data: key })),
      'hold-time': HOLD_MS,
    })
  } catch (error) {
    throw qmpFailure('press keys', error)
  }
  await delay(HOLD_MS + PAUSE_MS)
}

/** A QMP failure in the contract's words. */
export function qmpFailure(attempted: string, error: unknown): unknown {
  if (!(error instanceof QmpError)) return error
  if (error.failure === 'refused') return new EngineError('engine', `Could not ${attempted}. ${error.message}`)
  if (error.failure === 'closed') return new EngineError('not-found', `Could not ${attempted}: it has ended.`)
  return new EngineError('host-unknown', `Could not ${attempted}: ${error.message}`, { retry: true, cause: error })
}
