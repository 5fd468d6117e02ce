import { randomUUID } from 'node:crypto'
import { isSandlabError, SandlabError } from '../domain/error.js'
import { operationIdSchema } from '../domain/ids.js'
import type { Operation, OperationItem, OperationKind } from '../domain/operation.js'

/** What is known of an operation before it begins. */
export interface OperationStart {
  kind: OperationKind
  title: string
  actor: { id: string | null; login: string }
  target: Operation['target']
  cancellable: boolean
  /** Of a transaction: what it makes and takes away. */
  resources?: Operation['resources']
  /** Of a bulk operation: what it works on, in order. */
  items?: Pick<OperationItem, 'name' | 'id'>[]
  /** The client's Idempotency-Key, and the hash of what it asked for. */
  request?: Operation['request']
}

/** Long enough for a whole class to be made twice over; old ones go first. */
export const KEPT_OPERATIONS = 1000
const FORGOTTEN_AT_ONCE = 100
/** Of the log of a finished one. */
const KEPT_LINES = 40

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
    outcome: null,
    resources: about.resources ?? [],
    items: (about.items ?? []).map((item) => ({ ...item, state: 'waiting', error: null })),
    request: about.request ?? null,
  }
}

/** An operation at its end, as it is kept. */
export function ended(operation: Operation, at: string, change: Partial<Operation>): Operation {
  return withItemsEnded({
    ...operation,
    ...change,
    cancellable: false,
    endedAt: at,
    log: operation.log.slice(-KEPT_LINES),
  })
}

/** Of what was taken back, or never begun, nothing is left. */
function withItemsEnded(operation: Operation): Operation {
  const stateOf = ({ state }: OperationItem): OperationItem['state'] => {
    if (state === 'failed') return state
    if (operation.outcome === 'rolled-back') return 'undone'
    if (state === 'succeeded' || state === 'undone') return state
    return operation.state === 'succeeded' || operation.outcome === 'committed' ? 'succeeded' : 'undone'
  }
  return { ...operation, items: operation.items.map((item) => ({ ...item, state: stateOf(item) })) }
}

/** Running ones are kept however old they are. Forgets many at once, so that it rarely has to look at all. */
export function newest(operations: Operation[]): Operation[] {
  if (operations.length <= KEPT_OPERATIONS + FORGOTTEN_AT_ONCE) return operations
  let spare = operations.length - KEPT_OPERATIONS
  return operations.filter((operation) => {
    const drop = spare > 0 && operation.state !== 'running'
    if (drop) spare -= 1
    return !drop
  })
}

export function lost(operation: Operation, at: string, message: string): Operation {
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
