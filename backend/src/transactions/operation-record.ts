import { randomUUID } from 'node:crypto'
import { isSandlabError, SandlabError } from '../domain/error.js'
import { operationIdSchema } from '../domain/ids.js'
import type { Operation, OperationKind } from '../domain/operation.js'

/** What is known of an operation before it begins. */
export interface OperationStart {
  kind: OperationKind
  title: string
  actor: { id: string | null; login: string }
  target: Operation['target']
  cancellable: boolean
}

const KEPT = 200

export function newOperation(about: OperationStart, at: string): Operation {
  return {
    id: operationIdSchema.parse(randomUUID()),
    kind: about.kind,
    title: about.title,
    state: 'running',
    actorId: about.actor.id,
    actorLogin: about.actor.login,
    target: about.target,
    step: 'Starting',
    progress: null,
    bytesDone: null,
    bytesTotal: null,
    log: [],
    error: null,
    cancellable: about.cancellable,
    startedAt: at,
    endedAt: null,
  }
}

/** Running ones are kept however old they are. */
export function newest(operations: Operation[]): Operation[] {
  if (operations.length <= KEPT) return operations
  let spare = operations.length - KEPT
  return operations.filter((operation) => {
    const drop = spare > 0 && operation.state !== 'running'
    if (drop) spare -= 1
    return !drop
  })
}

export function lost(operation: Operation, at: string): Operation {
  const message = 'SandLabX ended in the middle of it. Look at the object before you try again.'
  return { ...operation, state: 'lost', endedAt: at, cancellable: false, error: { code: 'internal', message } }
}

export function cancelled(title: string, cause: unknown): SandlabError {
  return isSandlabError(cause, 'cancelled') ? cause : new SandlabError('cancelled', `${title}: cancelled.`, { cause })
}

export function errorOf(error: unknown): Operation['error'] {
  if (!isSandlabError(error)) return { code: 'internal', message: 'Something unexpected went wrong; the log has it.' }
  const { code, message, hint } = error
  return hint === undefined ? { code, message } : { code, message, hint }
}
