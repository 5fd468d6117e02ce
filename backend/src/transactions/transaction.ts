import { isSandlabError, SandlabError } from '../domain/error.js'
import type { Logger } from '../system/log.js'

export type Undo = (step: () => Promise<void> | void) => void

/**
 * Runs steps that change the world. `undo` is called right after each one (or right before, when the step may fail half
 * done) and says how to take it back; on a throw the undos run in reverse, each one even when another fails, and the
 * error is thrown on. An undo removes only what its step made, and finding nothing is success.
 *
 * When an undo failed too, the error that is thrown carries `details.notUndone` (how many), its cause is an
 * AggregateError of all of them, and `log`, where given, has them.
 */
export async function transaction<T>(work: (undo: Undo) => Promise<T>, options: { log?: Logger } = {}): Promise<T> {
  const undos: (() => Promise<void> | void)[] = []
  try {
    return await work((step) => void undos.push(step))
  } catch (error) {
    const failures = await rollBack(undos)
    if (failures.length === 0) throw error
    for (const failure of failures) options.log?.error({ err: failure }, 'a step could not be undone')
    throw halfUndone(error, failures)
  }
}

async function rollBack(undos: (() => Promise<void> | void)[]): Promise<unknown[]> {
  const failures: unknown[] = []
  for (const step of undos.toReversed()) {
    try {
      await step()
    } catch (failure) {
      failures.push(failure)
    }
  }
  return failures
}

function halfUndone(error: unknown, failures: unknown[]): SandlabError {
  const cause = new AggregateError([error, ...failures], 'a transaction failed, and undoing it too')
  if (!isSandlabError(error)) {
    return new SandlabError('internal', 'Something unexpected went wrong, and it could not all be undone.', { cause })
  }
  const { code, message, hint, details } = error
  return new SandlabError(code, message, { hint, details: { ...details, notUndone: failures.length }, cause })
}
