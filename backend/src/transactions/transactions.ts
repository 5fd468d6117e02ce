import { SandlabError } from '../domain/error.js'
import { journalDir } from '../domain/layout.js'
import type { Operation } from '../domain/operation.js'
import { launch, type Mechanism } from './execute.js'
import { openJournal } from './journal.js'
import type { OperationStart } from './operation-record.js'
import type { Operations } from './operations.js'
import { bind, type AnyProcedure, type Procedure } from './procedure.js'
import { recoverAll, type RecoveryReport } from './recovery.js'
import { createUnfinished } from './unfinished.js'

export type TransactionStart = Omit<OperationStart, 'kind'>

export interface Requester {
  id: string | null
  request?: Operation['request']
}

export interface Transactions {
  /**
   * Runs a procedure: intent in the journal, steps, the durable change of state, what comes after, intent removed.
   * `result` resolves when all of it is done; when it rejects before the commit, every step has been undone; after it,
   * what the disk refused is tried again in the background. Throws `busy` while that is so for the same things.
   */
  run<I>(procedure: Procedure<I>, intent: I, about: TransactionStart): { operation: Operation; result: Promise<void> }
  /**
   * What the same person asked before with the same Idempotency-Key, under way or done; null when that is new, or failed.
   * Throws `key_reused` when it was something else.
   */
  earlier(actor: Requester): { operation: Operation; result: Promise<void> } | null
  /** Ends what a former process left. Called once, before the first request, with the table of all procedures. */
  recover(procedures: readonly AnyProcedure[]): Promise<RecoveryReport>
  /** What `recover` found; null before. */
  readonly recovery: RecoveryReport | null
}

/** The one mechanism by which anything that is more than one write becomes whole or nothing. */
export async function createTransactions(deps: Omit<Mechanism, 'journal' | 'unfinished'>): Promise<Transactions> {
  const { journal, found } = await openJournal(journalDir(deps.layout))
  const unfinished = createUnfinished()
  const mechanism: Mechanism = { ...deps, journal, unfinished }
  let recovery: RecoveryReport | null = null
  return {
    run(procedure, intent, about) {
      const bound = bind(procedure, intent)
      const start = { ...about, kind: bound.kind, resources: bound.resources() }
      unfinished.refuse(start)
      return launch(mechanism, bound, start)
    },
    earlier: (actor) => earlierOf(deps.operations, actor),
    async recover(procedures) {
      recovery = await recoverAll(mechanism, found, procedures)
      return recovery
    },
    get recovery() {
      return recovery
    },
  }
}

function earlierOf(operations: Operations, { id, request }: Requester) {
  if (!request) return null
  const known = operations.list().find((one) => one.request?.key === request.key && one.actorId === id)
  if (!known || (known.state !== 'running' && known.outcome !== 'committed')) return null
  if (known.request?.hash !== request.hash) throw keyReused(known)
  return { operation: known, result: operations.ended(known.id) }
}

export function keyReused(operation: Operation): SandlabError {
  return new SandlabError('key_reused', 'This Idempotency-Key came with another request before.', {
    hint: 'Send a new key with each new request; the same only to repeat the very same one.',
    details: { operationId: operation.id },
  })
}
