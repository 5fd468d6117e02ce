import { actorOf, finish, launch, type Mechanism } from './execute.js'
import { insist } from './insist.js'
import type { JournalEntry, JournalFound } from './journal.js'
import type { AnyProcedure, BoundProcedure } from './procedure.js'

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

/** Ends what a former process left, in the order that undoes it. */
export async function recoverAll(
  mechanism: Mechanism,
  found: JournalFound,
  procedures: readonly AnyProcedure[],
): Promise<RecoveryReport> {
  const began = performance.now()
  const report: RecoveryReport = {
    at: (mechanism.now?.() ?? new Date()).toISOString(),
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
      report[await recoverOne(mechanism, procedure, entry)].push(title)
    } catch (error) {
      mechanism.log.error({ err: error, operationId: entry.operation.id }, 'an operation could not be recovered')
      report.failed.push({ title, reason: error instanceof Error ? error.message : String(error) })
    }
  }
  mechanism.operations.settle()
  report.tookMs = Math.round(performance.now() - began)
  if (found.entries.length + found.unreadable.length > 0) mechanism.log.warn({ recovery: report }, 'recovered')
  return report
}

async function recoverOne(
  mechanism: Mechanism,
  procedure: BoundProcedure,
  entry: JournalEntry,
): Promise<'finished' | 'undone' | 'resumed'> {
  const { operation } = entry
  const known = mechanism.store.data.operations.find(({ id }) => id === operation.id)
  if (known?.outcome === 'committed') {
    await mechanism.operations.recover(known, (op) => finish(mechanism, procedure, entry.file, op))
    return 'finished'
  }
  if (procedure.resumable) {
    launch(mechanism, procedure, { ...operation, actor: actorOf(operation) }, entry)
    return 'resumed'
  }
  for (const step of procedure.steps.toReversed()) await insist(step.title, () => step.undo(), mechanism.log)
  await mechanism.journal.remove(entry.file)
  mechanism.operations.undone(operation)
  return 'undone'
}
