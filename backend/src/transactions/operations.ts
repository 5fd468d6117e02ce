import { isSandlabError, SandlabError } from '../domain/error.js'
import type { OperationId } from '../domain/ids.js'
import type { Operation } from '../domain/operation.js'
import type { Bus } from '../events/bus.js'
import type { Store } from '../state/store.js'
import type { Logger } from '../system/log.js'
import { cancelled, errorOf, lost, newest, newOperation, type OperationStart } from './operation-record.js'
import { createThrottle } from './throttle.js'

/** What the work of an operation tells about itself. Nothing here throws. */
export interface OperationHandle {
  readonly id: OperationId
  /** Aborted when somebody cancels, or SandLabX stops. */
  readonly signal: AbortSignal
  /** The step under way, in words. `progress` of the whole, 0 to 1; null: can't be known; absent: as it was. */
  step(text: string, progress?: number | null): void
  /** Bytes of this step; a new step forgets them. */
  bytes(done: number, total: number | null): void
  log(text: string): void
}

export interface Operations {
  /** Runs `work` at once. `result` is its outcome and never causes an unhandled rejection. */
  start<T>(
    about: OperationStart,
    work: (op: OperationHandle) => Promise<T>,
  ): { operation: Operation; result: Promise<T> }
  /** Newest first: all running ones, and the newest finished ones. */
  list(): Operation[]
  get(id: string): Operation | undefined
  /** Asks the work to stop; it is `cancelled` when it has. Throws `not_found`, `wrong_status`. */
  cancel(id: string): Operation
  /** Cancels what runs and waits for it, at most CLOSE_WAIT_MS; what goes on is `lost` at the next start. */
  close(): Promise<void>
}

const LOG_LINES = 200
const LINE_CHARACTERS = 500
const PUBLISH_EVERY_MS = 250
const CLOSE_WAIT_MS = 5000

/**
 * The register of long actions. The state file has each one when it starts and when it ends, progress lives in memory.
 * Operations that the state shows as running belong to a backend that is gone: they become `lost`.
 */
export function createOperations(deps: { store: Store; bus: Bus; log: Logger; now?: () => Date }): Operations {
  const { store, bus, log } = deps
  const timestamp = () => (deps.now?.() ?? new Date()).toISOString()
  const known = new Map<string, Operation>() // oldest first
  const running = new Map<string, { abort: AbortController; done: Promise<void> }>()
  const saving = new Set<Promise<void>>()
  const throttle = createThrottle(PUBLISH_EVERY_MS, publish)
  let closed: Promise<void> | undefined

  for (const operation of store.data.operations) known.set(operation.id, operation)
  for (const operation of known.values()) if (operation.state === 'running') save(lost(operation, timestamp()))

  /** Memory and listeners know at once; the state file soon. A full disk must not end the work itself. */
  function save(operation: Operation): void {
    known.set(operation.id, operation)
    forgetOldest()
    throttle.now(operation.id)
    const saved = store
      .change((draft) => {
        const index = draft.operations.findIndex((one) => one.id === operation.id)
        if (index >= 0) draft.operations[index] = operation
        else draft.operations.push(operation)
        draft.operations = newest(draft.operations)
      })
      .catch((error: unknown) => log.warn({ err: error, operationId: operation.id }, 'the operation was not saved'))
      .finally(() => saving.delete(saved))
    saving.add(saved)
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

  function forgetOldest(): void {
    const kept = new Set<string>(newest([...known.values()]).map((operation) => operation.id))
    for (const id of known.keys()) if (!kept.has(id)) known.delete(id)
  }

  function handleOf(id: OperationId, signal: AbortSignal): OperationHandle {
    const logged = (text: string) =>
      [...(known.get(id)?.log ?? []), { at: timestamp(), text: text.slice(0, LINE_CHARACTERS) }].slice(-LOG_LINES)
    return {
      id,
      signal,
      step(text, progress) {
        const isNew = known.get(id)?.step !== text.slice(0, LINE_CHARACTERS)
        update(id, {
          ...(isNew
            ? { step: text.slice(0, LINE_CHARACTERS), bytesDone: null, bytesTotal: null, log: logged(text) }
            : {}),
          ...(progress === undefined
            ? {}
            : { progress: progress === null ? null : Math.min(1, Math.max(0, progress)) }),
        })
      },
      bytes: (done, total) => update(id, { bytesDone: done, bytesTotal: total }),
      log: (text) => update(id, { log: logged(text) }),
    }
  }

  async function run<T>(
    id: OperationId,
    abort: AbortController,
    work: (op: OperationHandle) => Promise<T>,
  ): Promise<T> {
    try {
      abort.signal.throwIfAborted() // cancelled before it began
      const value = await work(handleOf(id, abort.signal))
      end(id, { state: 'succeeded', progress: 1 })
      return value
    } catch (error) {
      const failure = abort.signal.aborted ? cancelled(known.get(id)?.title ?? 'It', error) : error
      if (!isSandlabError(failure)) log.error({ err: failure, operationId: id }, 'an operation failed unexpectedly')
      end(id, { state: abort.signal.aborted ? 'cancelled' : 'failed', error: errorOf(failure) })
      throw failure
    } finally {
      running.delete(id)
    }
  }

  function end(id: string, change: Partial<Operation>): void {
    const operation = known.get(id)
    if (operation) save({ ...operation, ...change, endedAt: timestamp() })
  }

  return {
    start(about, work) {
      if (closed) throw new SandlabError('starting_up', `Could not start "${about.title}": SandLabX is stopping.`)
      const operation = newOperation(about, timestamp())
      const abort = new AbortController()
      save(operation)
      const result = Promise.resolve().then(() => run(operation.id, abort, work))
      const done = result.then(
        () => undefined,
        () => undefined,
      )
      running.set(operation.id, { abort, done })
      return { operation, result }
    },
    list: () => [...known.values()].toReversed(),
    get: (id) => known.get(id),
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

async function within(milliseconds: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise((resolve) => (timer = setTimeout(resolve, milliseconds)))
  await Promise.race([work, limit])
  clearTimeout(timer)
}
