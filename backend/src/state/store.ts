import { Low } from 'lowdb'
import { mkdir } from 'node:fs/promises'
import { SandlabError, isSandlabError } from '../domain/error.js'
import { stateLockFile, type Layout } from '../domain/layout.js'
import { emptyState, type LabState } from '../domain/state.js'
import { errnoOf, storageFailure, UncertainWriteError } from '../system/durable-file.js'
import { createBreather } from '../system/breather.js'
import type { Logger } from '../system/log.js'
import { createStateAdapter } from './adapter.js'
import { checkRecords } from './check-records.js'
import { freezeLists, freezeTree, produce } from './draft.js'
import type { Snapshot } from './envelope.js'
import { holdInSafeMode, lockState } from './lock.js'

export interface Store {
  /** Last committed; frozen, plain objects. Records that did not change stay the same objects. */
  readonly data: Readonly<LabState>
  /** Grows by one with each commit. */
  readonly revision: number
  /** Why every further change is refused, once the disk has failed; null while all is well. */
  readonly fault: SandlabError | null
  /**
   * Applies `apply` to a draft, synchronously and later; resolves with its result once that is durable. Concurrent
   * changes see each other's in order and share a write. A throw in `apply`, or a record that does not fit its schema
   * (`internal`), rejects this change alone. A failed write rejects with `no_space` or `state_io`, leaves memory as it
   * was, and may be tried again; but after a failed fsync the store only reads until a restart.
   */
  change<T>(apply: (draft: LabState) => T): Promise<T>
  /** Waits for pending changes, then frees the lock. Later changes are refused. */
  close(): Promise<void>
}

export interface OpenedStore {
  store: Store
  loadedFrom: 'current' | 'previous' | 'new'
  /** For people: what was wrong with the state file; null when all is well. */
  warning: string | null
}

/** Bounds how long one commit keeps the event loop from other work, and how many may wait. */
const CHANGES_PER_COMMIT = 512
const MAX_WAITING_CHANGES = 10_000

/**
 * Locks and loads the state. Throws `state_locked` (another backend; nothing was touched), `state_newer`,
 * `state_unreadable`, or `safe_mode` with details {reason, candidates, release}: then the lock is kept, so that no other
 * backend comes between, until `release()` is called.
 */
export async function openStore(options: { layout: Layout; log: Logger }): Promise<OpenedStore> {
  const { layout, log } = options
  await mkdir(layout.state, { recursive: true, mode: 0o700 })
  const unlock = await lockState(layout)
  try {
    const adapter = createStateAdapter(layout)
    const low = new Low<Snapshot>(adapter, { revision: 0, data: freezeTree(emptyState()) })
    await low.read()
    const loaded = adapter.loaded()
    const warning = loaded?.warning ?? null
    if (warning !== null) log.warn({ stateFile: layout.stateFile }, warning)
    return { store: createStore(low, log, unlock), loadedFrom: loaded?.from ?? 'new', warning }
  } catch (error) {
    if (!isSandlabError(error, 'safe_mode')) {
      unlock()
      throw error
    }
    const release = holdInSafeMode(stateLockFile(layout), unlock)
    throw new SandlabError('safe_mode', error.message, { hint: error.hint, details: { ...error.details, release } })
  }
}

interface Waiting {
  apply: (draft: LabState) => unknown
  resolve: (result: unknown) => void
  reject: (error: unknown) => void
}

function createStore(low: Low<Snapshot>, log: Logger, unlock: () => void): Store {
  let committed = low.data
  let waiting: Waiting[] = []
  let writer: Promise<void> | undefined
  let fault: SandlabError | null = null
  let closed: Promise<void> | undefined

  async function writeAll(): Promise<void> {
    await Promise.resolve() // callers of the same moment share the first commit
    while (waiting.length > 0) {
      const batch = waiting.slice(0, CHANGES_PER_COMMIT)
      waiting = waiting.slice(CHANGES_PER_COMMIT)
      const made = await applyBatch(committed.data, batch)
      const failure = made.next === committed.data ? undefined : await commit(made.next)
      settle(made, failure)
    }
    writer = undefined
  }

  async function commit(data: LabState): Promise<SandlabError | undefined> {
    if (fault) return fault
    const next = { revision: committed.revision + 1, data: freezeLists(data) }
    low.data = next
    try {
      await low.write()
      committed = next
      return undefined
    } catch (error) {
      low.data = committed
      const failure = isLasting(error) ? lastingFailure(error) : storageFailure('save the change', error)
      if (isLasting(error)) {
        fault = failure
        log.fatal({ err: error }, 'the disk failed under the state: nothing more is written until a restart')
      } else log.error({ err: error }, 'the state could not be saved')
      return failure
    }
  }

  return {
    get data() {
      return committed.data
    },
    get revision() {
      return committed.revision
    },
    get fault() {
      return fault
    },
    change<T>(apply: (draft: LabState) => T): Promise<T> {
      if (closed) return Promise.reject(stopping())
      if (fault) return Promise.reject(fault)
      if (waiting.length >= MAX_WAITING_CHANGES) return Promise.reject(tooMany())
      return new Promise<T>((resolve, reject) => {
        // `apply`'s own result comes back through `resolve`
        waiting.push({ apply, resolve: resolve as (result: unknown) => void, reject })
        writer ??= writeAll()
      })
    },
    close() {
      closed ??= (writer ?? Promise.resolve()).then(unlock)
      return closed
    },
  }
}

/**
 * Applies changes one after the other; each sees those before it, and one that throws leaves no trace. Their records are
 * checked together; only when one does not fit its schema, which is a mistake of ours, each change by itself.
 */
async function applyBatch(base: LabState, batch: Waiting[]) {
  const all = await applyEach(base, batch, () => undefined)
  try {
    checkRecords(base, all.next)
    return all
  } catch {
    return applyEach(
      base,
      all.applied.map(({ change }) => change),
      checkRecords,
    )
  }
}

async function applyEach(
  base: LabState,
  batch: readonly Waiting[],
  check: (before: LabState, after: LabState) => void,
): Promise<Batch> {
  let next = base
  const applied: Batch['applied'] = []
  const breathe = createBreather()
  for (const change of batch) {
    const turn = breathe()
    if (turn) await turn
    try {
      const produced = produce(next, change.apply)
      check(next, produced.next)
      next = produced.next
      applied.push({ change, result: produced.result })
    } catch (error) {
      change.reject(error)
    }
  }
  return { next, applied }
}

interface Batch {
  next: LabState
  applied: { change: Waiting; result: unknown }[]
}

function settle({ applied }: Batch, failure: SandlabError | undefined): void {
  for (const { change, result } of applied) {
    if (failure) change.reject(failure)
    else change.resolve(result)
  }
}

/** What a retry can't be trusted to mend. A full disk, a read-only mount or too many open files pass. */
function isLasting(error: unknown): boolean {
  return error instanceof UncertainWriteError || errnoOf(error) === 'EIO'
}

/** Whatever the disk answered, a full one included: what is on it now is only known when it is read again. */
function lastingFailure(cause: unknown): SandlabError {
  return new SandlabError('state_io', 'Could not save the change: the disk failed while it was written.', {
    hint: 'Look at the disk and the kernel log, then restart SandLabX. Until then it only reads.',
    cause,
  })
}

function stopping(): SandlabError {
  return new SandlabError('starting_up', 'Could not save the change: SandLabX is stopping.', {
    hint: 'Try again when it runs.',
  })
}

function tooMany(): SandlabError {
  return new SandlabError(
    'too_many_requests',
    `Could not save the change: ${MAX_WAITING_CHANGES} others are waiting.`,
    {
      hint: 'Try again in a moment.',
    },
  )
}
