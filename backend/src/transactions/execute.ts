import { isSandlabError, SandlabError } from '../domain/error.js'
import type { Layout } from '../domain/layout.js'
import type { Operation } from '../domain/operation.js'
import type { Store } from '../state/store.js'
import { isFromStorage, isStorageError, storageFailure } from '../system/durable-file.js'
import type { Logger } from '../system/log.js'
import { insist } from './insist.js'
import type { Journal, JournalEntry } from './journal.js'
import type { OperationStart } from './operation-record.js'
import type { BulkHandle, Operations, TransactionHandle } from './operations.js'
import type { BoundProcedure } from './procedure.js'
import type { Unfinished } from './unfinished.js'

/** What every part of the mechanism works with. */
export interface Mechanism {
  layout: Layout
  store: Store
  operations: Operations
  log: Logger
  now?: () => Date
  journal: Journal
  unfinished: Unfinished
}

/** Begins a procedure, or goes on with one that a former process left. */
export function launch(
  mechanism: Mechanism,
  procedure: BoundProcedure,
  about: OperationStart,
  resumed?: JournalEntry,
): { operation: Operation; result: Promise<void> } {
  const work = async (op: TransactionHandle) => {
    try {
      await procedure.around(() => execute(mechanism, procedure, op, resumed?.file))
    } catch (error) {
      // Whatever step met it: what a disk refuses is an answer, not an accident of ours.
      throw isStorageError(error) ? storageFailure(lowerFirst(about.title), error) : error
    }
  }
  return mechanism.operations.start(about, work, { journaled: true, resumes: resumed?.operation })
}

/** Up to the commit everything can be taken back; from there on only finished. */
async function execute(
  mechanism: Mechanism,
  procedure: BoundProcedure,
  op: TransactionHandle,
  resumedFile: string | undefined,
): Promise<void> {
  const file = resumedFile ?? (await mechanism.journal.write(op.record(), procedure.intent))
  try {
    for (const step of procedure.steps) {
      op.signal.throwIfAborted()
      op.step(step.title)
      await step.do(op)
    }
    op.signal.throwIfAborted()
    await mechanism.store.change((draft) => {
      procedure.commit(draft)
      op.commit(draft, procedure.after.length === 0)
    })
  } catch (error) {
    // Stopping SandLabX is no cancelling: the next start goes on with it.
    if (procedure.resumable && op.isClosing()) throw error
    throw await undone(mechanism, procedure, file, op, error)
  }
  op.committed()
  try {
    await finish(mechanism, procedure, file, op)
  } catch (error) {
    if (isFromStorage(error)) {
      mechanism.unfinished.add(op.record(), () => finishLater(mechanism, procedure, file, op.record()))
    }
    throw error
  }
}

/** What comes after the commit. Each step may run again. */
export async function finish(
  { journal, log }: Mechanism,
  procedure: BoundProcedure,
  file: string,
  op: BulkHandle,
): Promise<void> {
  for (const step of procedure.after) {
    op.step(step.title)
    await insist(step.title, () => step.do(op), log)
  }
  // All of it is done: an intent that stays does no harm, and the next start removes it.
  await journal.remove(file).catch((error: unknown) => log.warn({ err: error, file }, 'an intent could not be removed'))
}

/** The same operation runs again, for what is left of it. Throws when SandLabX is stopping. */
function finishLater(
  mechanism: Mechanism,
  procedure: BoundProcedure,
  file: string,
  operation: Operation,
): Promise<void> {
  const about = { ...operation, actor: actorOf(operation) }
  const work = async (op: TransactionHandle) => {
    let isDone = false
    await procedure.around(async () => {
      await finish(mechanism, procedure, file, op)
      isDone = true
    })
    if (!isDone) throw new Error('another action of the same name was under way')
  }
  const resumes = { ...operation, state: 'running' as const, error: null, endedAt: null }
  return mechanism.operations.start(about, work, { journaled: true, resumes }).result
}

function lowerFirst(title: string): string {
  return `${title.charAt(0).toLowerCase()}${title.slice(1)}`
}

/** Takes the steps back and answers with the error to throw. What can't be taken back stays in the journal. */
async function undone(
  mechanism: Mechanism,
  procedure: BoundProcedure,
  file: string,
  op: TransactionHandle,
  error: unknown,
): Promise<unknown> {
  // A commit whose fsync failed may be on the disk: the state file, read again at the next start, will tell.
  if (isUncertain(mechanism, error)) return error
  op.rolledBack()
  const failures = await undoSteps(procedure, mechanism.log)
  if (failures.length === 0) {
    await mechanism.journal.remove(file)
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
      await insist(step.title, () => step.undo(), log)
    } catch (failure) {
      log.error({ err: failure, step: step.title }, 'a step could not be undone')
      failures.push(failure)
    }
  }
  return failures
}

function isUncertain({ store }: Mechanism, error: unknown): boolean {
  return store.fault !== null && isSandlabError(error, 'state_io')
}

export function actorOf(operation: Operation): OperationStart['actor'] {
  return { id: operation.actorId, login: operation.actorLogin }
}
