import { isSandlabError, SandlabError } from '../domain/error.js'
import type { Operation } from '../domain/operation.js'
import type { LabState } from '../domain/state.js'
import type { Bus } from '../events/bus.js'
import type { Store } from '../state/store.js'
import type { Logger } from '../system/log.js'
import { createHandle, type BulkHandle, type TransactionHandle } from './operation-handle.js'
import { cancelled, ended, errorOf, lost, newest, newOperation, type OperationStart } from './operation-record.js'
import { createThrottle } from './throttle.js'

export type { BulkHandle, OperationHandle, TransactionHandle } from './operation-handle.js'

export interface Operations {
  /**
   * Runs `work` at once. `result` is its outcome and never causes an unhandled rejection. `journaled`: the state learns
   * of it only when it commits or ends, since the journal has it. `resumes`: goes on as this one.
   */
  start<T>(
    about: OperationStart,
    work: (op: TransactionHandle) => Promise<T>,
    options?: { journaled?: boolean; resumes?: Operation | undefined },
  ): { operation: Operation; result: Promise<T> }
  /** Newest first: all running ones, and the newest finished ones. */
  list(): Operation[]
  get(id: string): Operation | undefined
  /** Resolves or rejects as the operation does, or did. */
  ended(id: string): Promise<void>
  /** Asks the work to stop; it is `cancelled` when it has. Throws `not_found`, `wrong_status`. */
  cancel(id: string): Operation
  /** At the start: does what a committed operation left undone, and ends it. */
  recover(operation: Operation, work: (op: BulkHandle) => Promise<void>): Promise<void>
  /** At the start: keeps what was taken back. */
  undone(operation: Operation): void
  /** At the start, after the journal: what the state still shows as running ended without a word. */
  settle(): void
  /** Cancels what runs and waits for it, at most CLOSE_WAIT_MS; what goes on is `lost` at the next start. */
  close(): Promise<void>
}

const PUBLISH_EVERY_MS = 250
const CLOSE_WAIT_MS = 5000

/** The register of long actions. The state file has each one when it starts and when it ends, progress lives in memory. */
export function createOperations(deps: { store: Store; bus: Bus; log: Logger; now?: () => Date }): Operations {
  const { store, bus, log } = deps
  const timestamp = () => (deps.now?.() ?? new Date()).toISOString()
  const known = new Map<string, Operation>() // oldest first
  const running = new Map<string, { abort: AbortController; done: Promise<void>; result: Promise<unknown> }>()
  const saving = new Set<Promise<void>>()
  const throttle = createThrottle(PUBLISH_EVERY_MS, publish)
  let closed: Promise<void> | undefined

  for (const operation of store.data.operations) known.set(operation.id, operation)

  /** Memory and listeners know at once; the state file soon. A full disk must not end the work itself. */
  function save(operation: Operation): void {
    remember(operation)
    const saved = store
      .change((draft) => put(draft, operation))
      .catch((error: unknown) => log.warn({ err: error, operationId: operation.id }, 'the operation was not saved'))
      .finally(() => saving.delete(saved))
    saving.add(saved)
  }

  function remember(operation: Operation): void {
    known.set(operation.id, operation)
    const all = [...known.values()]
    const kept = newest(all)
    if (kept !== all) {
      known.clear()
      for (const one of kept) known.set(one.id, one)
    }
    throttle.now(operation.id)
  }

  function publish(id: string): void {
    const operation = known.get(id)
    if (operation) bus.publish('operations', id, operation, operation.actorId ?? NOBODY)
  }

  function update(id: string, change: Partial<Operation>): void {
    const operation = known.get(id)
    if (operation?.state !== 'running') return // a late word from work that was given up
    known.set(id, { ...operation, ...change })
    throttle.soon(id)
  }

  function handleOf(start: Operation, signal: AbortSignal, resumed: boolean): TransactionHandle {
    const { id } = start
    const current = () => known.get(id) ?? start
    let saved: Operation | undefined
    return {
      ...createHandle({ id, signal, timestamp, get: current, update: (change) => update(id, change) }),
      record: current,
      isClosing: () => closed !== undefined,
      commit(draft, last) {
        const operation = { ...current(), outcome: 'committed' as const, cancellable: false }
        saved = last ? ended(operation, timestamp(), { state: 'succeeded', progress: 1 }) : operation
        put(draft, saved, !resumed) // until now the journal had it
      },
      committed: () => saved && remember(saved),
      rolledBack: () => update(id, { outcome: 'rolled-back', step: 'Taking back what was done', cancellable: false }),
    }
  }

  async function run<T>(op: TransactionHandle, abort: AbortController, work: (op: TransactionHandle) => Promise<T>) {
    const { id } = op
    try {
      abort.signal.throwIfAborted() // cancelled before it began
      const value = await work(op)
      end(id, { state: 'succeeded', progress: 1 })
      return value
    } catch (error) {
      const failure = abort.signal.aborted ? cancelled(op.record().title, error) : error
      if (!isSandlabError(failure)) log.error({ err: failure, operationId: id }, 'an operation failed unexpectedly')
      end(id, { state: abort.signal.aborted ? 'cancelled' : 'failed', error: errorOf(failure) })
      throw failure
    } finally {
      running.delete(id)
    }
  }

  /** What the commit ended already is not saved a second time. */
  function end(id: string, change: Partial<Operation>): void {
    const operation = known.get(id)
    if (operation?.state === 'running') save(ended(operation, timestamp(), change))
  }

  return {
    start(about, work, options = {}) {
      if (closed) throw new SandlabError('starting_up', `Could not start "${about.title}": SandLabX is stopping.`)
      const operation = options.resumes ?? newOperation(about, timestamp())
      const abort = new AbortController()
      if (options.journaled === true) remember(operation)
      else save(operation)
      const op = handleOf(operation, abort.signal, options.resumes !== undefined)
      const result = Promise.resolve().then(() => run(op, abort, work))
      const done = result.then(
        () => undefined,
        () => undefined,
      )
      running.set(operation.id, { abort, done, result })
      return { operation, result }
    },
    list: () => [...known.values()].toReversed(),
    get: (id) => known.get(id),
    async ended(id) {
      await running.get(id)?.result
      const error = known.get(id)?.error
      if (error) throw new SandlabError('internal', error.message)
    },
    cancel(id) {
      const operation = known.get(id)
      if (!operation) throw new SandlabError('not_found', `There is no operation ${id}.`)
      if (operation.state !== 'running' || !operation.cancellable) {
        const why = operation.state === 'running' ? "can't be cancelled" : `has ended: it ${operation.state}`
        throw new SandlabError('wrong_status', `${operation.title} ${why}.`)
      }
      update(id, { step: 'Cancelling', cancellable: false })
      running.get(id)?.abort.abort()
      return known.get(id) ?? operation
    },
    async recover(operation, work) {
      await work(handleOf(operation, new AbortController().signal, true))
      end(operation.id, { state: 'succeeded', progress: 1 })
    },
    undone(operation) {
      const found = lost(operation, timestamp(), 'SandLabX ended in the middle of it. All of it was taken back.')
      save(ended({ ...found, outcome: 'rolled-back' }, timestamp(), {}))
    },
    settle() {
      for (const operation of known.values()) {
        if (operation.state !== 'running' || running.has(operation.id)) continue
        if (operation.outcome === 'committed') end(operation.id, { state: 'succeeded', progress: 1 })
        else
          save(
            lost(
              operation,
              timestamp(),
              'SandLabX ended in the middle of it. Look at the object before you try again.',
            ),
          )
      }
    },
    close() {
      closed ??= (async () => {
        for (const { abort } of running.values()) abort.abort()
        await within(CLOSE_WAIT_MS, Promise.all([...running.values()].map(({ done }) => done)))
        await Promise.all(saving)
        throttle.close()
      })()
      return closed
    },
  }
}

/** The owner of what no person started: no user has it, so only those see it who see everything. */
const NOBODY = 'system'

function put(draft: LabState, operation: Operation, isNew = false): void {
  if (isNew) draft.operations.push(operation)
  else replace(draft, operation)
  draft.operations = newest(draft.operations)
}

function replace(draft: LabState, operation: Operation): void {
  const index = draft.operations.findLastIndex((one) => one.id === operation.id)
  if (index >= 0) draft.operations[index] = operation
  else draft.operations.push(operation)
}

async function within(milliseconds: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise((resolve) => (timer = setTimeout(resolve, milliseconds)))
  await Promise.race([work, limit])
  clearTimeout(timer)
}
