import { isSandlabError, SandlabError } from '../domain/error.js'
import { journalDir, type Layout } from '../domain/layout.js'
import type { Operation } from '../domain/operation.js'
import type { Store } from '../state/store.js'
import { isStorageError, storageFailure } from '../system/durable-file.js'
import type { Logger } from '../system/log.js'
import { openJournal, type Journal, type JournalEntry, type JournalFound } from './journal.js'
import type { OperationStart } from './operation-record.js'
import type { BulkHandle, Operations, TransactionHandle } from './operations.js'
import { bind, type AnyProcedure, type BoundProcedure, type Procedure } from './procedure.js'

/** What was left by a process that is gone, and how it ended; for the log and the health page. */
export interface RecoveryReport {
  at: string
  /** How long it took, in milliseconds. */
  tookMs: number
  /** Titles of operations. Finished: they were committed. Resumed: they go on in the background. */
  finished: string[]
  undone: string[]
  resumed: string[]
  /** What could not be ended; it stays in the journal and is tried again at the next start. */
  failed: { title: string; reason: string }[]
  unreadable: { file: string; reason: string }[]
}

export type TransactionStart = Omit<OperationStart, 'kind'>

export interface Requester {
  id: string | null
  request?: Operation['request']
}

export interface Transactions {
  /**
   * Runs a procedure: intent in the journal, steps, the durable change of state, what comes after, intent removed.
   * `result` resolves when all of it is done; when it rejects before the commit, every step has been undone.
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

interface Dependencies {
  layout: Layout
  store: Store
  operations: Operations
  log: Logger
  now?: () => Date
}

/** The one mechanism by which anything that is more than one write becomes whole or nothing. */
export async function createTransactions(deps: Dependencies): Promise<Transactions> {
  const { journal, found } = await openJournal(journalDir(deps.layout))
  let recovery: RecoveryReport | null = null
  return {
    run(procedure, intent, about) {
      const bound = bind(procedure, intent)
      return launch(deps, journal, bound, { ...about, kind: bound.kind, resources: bound.resources() })
    },
    earlier: (actor) => earlierOf(deps.operations, actor),
    async recover(procedures) {
      recovery = await recoverAll(deps, journal, found, procedures)
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

function launch(
  deps: Dependencies,
  journal: Journal,
  procedure: BoundProcedure,
  about: OperationStart,
  resumed?: JournalEntry,
): { operation: Operation; result: Promise<void> } {
  const work = async (op: TransactionHandle) => {
    try {
      await procedure.around(() => execute(deps, journal, procedure, op, resumed?.file))
    } catch (error) {
      // Whatever step met it: what a disk refuses is an answer, not an accident of ours.
      throw isStorageError(error) ? storageFailure(lowerFirst(about.title), error) : error
    }
  }
  return deps.operations.start(about, work, { journaled: true, resumes: resumed?.operation })
}

/** Up to the commit everything can be taken back; from there on only finished. */
async function execute(
  deps: Dependencies,
  journal: Journal,
  procedure: BoundProcedure,
  op: TransactionHandle,
  resumedFile: string | undefined,
): Promise<void> {
  const file = resumedFile ?? (await journal.write(op.record(), procedure.intent))
  try {
    for (const step of procedure.steps) {
      op.signal.throwIfAborted()
      op.step(step.title)
      await step.do(op)
    }
    op.signal.throwIfAborted()
    await deps.store.change((draft) => {
      procedure.commit(draft)
      op.commit(draft, procedure.after.length === 0)
    })
  } catch (error) {
    // Stopping SandLabX is no cancelling: the next start goes on with it.
    if (procedure.resumable && op.isClosing()) throw error
    throw await undone(deps, journal, procedure, file, op, error)
  }
  op.committed()
  await finish(deps, journal, procedure, file, op)
}

async function finish(
  { log }: Dependencies,
  journal: Journal,
  procedure: BoundProcedure,
  file: string,
  op: BulkHandle,
): Promise<void> {
  for (const step of procedure.after) {
    op.step(step.title)
    await step.do(op)
  }
  // All of it is done: an intent that stays does no harm, and the next start removes it.
  await journal.remove(file).catch((error: unknown) => log.warn({ err: error, file }, 'an intent could not be removed'))
}

function lowerFirst(title: string): string {
  return `${title.charAt(0).toLowerCase()}${title.slice(1)}`
}

/** Takes the steps back and answers with the error to throw. What can't be taken back stays in the journal. */
async function undone(
  deps: Dependencies,
  journal: Journal,
  procedure: BoundProcedure,
  file: string,
  op: TransactionHandle,
  error: unknown,
): Promise<unknown> {
  // A commit whose fsync failed may be on the disk: the state file, read again at the next start, will tell.
  if (isUncertain(deps, error)) return error
  op.rolledBack()
  const failures = await undoSteps(procedure, deps.log)
  if (failures.length === 0) {
    await journal.remove(file)
    return error
  }
  const cause = new AggregateError([error, ...failures], 'a transaction failed, and undoing it too')
  const { code, message, hint, details } = isSandlabError(error)
    ? error
    : new SandlabError('internal', 'Something unexpected went wrong.')
  return new SandlabError(code, `${message} Not all of it could be undone; the next start tries again.`, {
    hint,
    details: { ...details, notUndone: failures.length },
    cause,
  })
}

async function undoSteps(procedure: BoundProcedure, log: Logger): Promise<unknown[]> {
  const failures: unknown[] = []
  for (const step of procedure.steps.toReversed()) {
    try {
      await step.undo()
    } catch (failure) {
      log.error({ err: failure, step: step.title }, 'a step could not be undone')
      failures.push(failure)
    }
  }
  return failures
}

function isUncertain(deps: Dependencies, error: unknown): boolean {
  return deps.store.fault !== null && isSandlabError(error, 'state_io')
}

async function recoverAll(
  deps: Dependencies,
  journal: Journal,
  found: JournalFound,
  procedures: readonly AnyProcedure[],
): Promise<RecoveryReport> {
  const began = performance.now()
  const report: RecoveryReport = {
    at: (deps.now?.() ?? new Date()).toISOString(),
    tookMs: 0,
    finished: [],
    undone: [],
    resumed: [],
    failed: [],
    unreadable: found.unreadable,
  }
  // Newest first: a later operation may stand on an earlier one.
  for (const entry of found.entries.toReversed()) {
    const { title } = entry.operation
    try {
      const procedure = procedures.find(({ kind }) => kind === entry.operation.kind)?.bind(entry.intent)
      if (!procedure) throw new Error(`no procedure for ${entry.operation.kind}`)
      report[await recoverOne(deps, journal, procedure, entry)].push(title)
    } catch (error) {
      deps.log.error({ err: error, operationId: entry.operation.id }, 'an operation could not be recovered')
      report.failed.push({ title, reason: error instanceof Error ? error.message : String(error) })
    }
  }
  deps.operations.settle()
  report.tookMs = Math.round(performance.now() - began)
  if (found.entries.length + found.unreadable.length > 0) deps.log.warn({ recovery: report }, 'recovered')
  return report
}

async function recoverOne(
  deps: Dependencies,
  journal: Journal,
  procedure: BoundProcedure,
  entry: JournalEntry,
): Promise<'finished' | 'undone' | 'resumed'> {
  const { operation } = entry
  const known = deps.store.data.operations.find(({ id }) => id === operation.id)
  if (known?.outcome === 'committed') {
    await deps.operations.recover(known, (op) => finish(deps, journal, procedure, entry.file, op))
    return 'finished'
  }
  if (procedure.resumable) {
    launch(deps, journal, procedure, { ...operation, actor: actorOf(operation) }, entry)
    return 'resumed'
  }
  for (const step of procedure.steps.toReversed()) await step.undo()
  await journal.remove(entry.file)
  deps.operations.undone(operation)
  return 'undone'
}

function actorOf(operation: Operation): OperationStart['actor'] {
  return { id: operation.actorId, login: operation.actorLogin }
}
