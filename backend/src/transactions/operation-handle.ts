import type { OperationId } from '../domain/ids.js'
import type { Operation, OperationItem } from '../domain/operation.js'
import type { LabState } from '../domain/state.js'

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

export interface BulkHandle extends OperationHandle {
  /** One of the things that a bulk operation works on, by its index. */
  item(index: number, change: Partial<OperationItem>): void
}

/** What the transaction mechanism tells besides. */
export interface TransactionHandle extends BulkHandle {
  /** The operation as it is now. */
  record(): Operation
  /** SandLabX stops: the work was not cancelled by anybody. */
  isClosing(): boolean
  /** Within the change of state that commits: writes down that it did. `last`: nothing comes after. */
  commit(draft: LabState, last: boolean): void
  /** That change is durable. */
  committed(): void
  rolledBack(): void
}

const LOG_LINES = 200
const LINE_CHARACTERS = 500

export interface HandleDependencies {
  id: OperationId
  signal: AbortSignal
  get: () => Operation | undefined
  update: (change: Partial<Operation>) => void
  timestamp: () => string
}

export function createHandle({ id, signal, get, update, timestamp }: HandleDependencies): BulkHandle {
  const logged = (text: string) =>
    [...(get()?.log ?? []), { at: timestamp(), text: text.slice(0, LINE_CHARACTERS) }].slice(-LOG_LINES)
  return {
    id,
    signal,
    step(text, progress) {
      const isNew = get()?.step !== text.slice(0, LINE_CHARACTERS)
      update({
        ...(isNew
          ? { step: text.slice(0, LINE_CHARACTERS), bytesDone: null, bytesTotal: null, log: logged(text) }
          : {}),
        ...(progress === undefined ? {} : { progress: progress === null ? null : Math.min(1, Math.max(0, progress)) }),
      })
    },
    bytes: (done, total) => update({ bytesDone: done, bytesTotal: total }),
    log: (text) => update({ log: logged(text) }),
    item: (index, change) =>
      update({ items: (get()?.items ?? []).map((item, at) => (at === index ? { ...item, ...change } : item)) }),
  }
}
