import type { EngineError } from './engine.js'

export type FakeOperation =
  | 'probe'
  | 'list'
  | 'ensureNode'
  | 'start'
  | 'stop'
  | 'restart'
  | 'resume'
  | 'suspend'
  | 'suspendState'
  | 'standStill'
  | 'remove'
  | 'freezeDisk'
  | 'releaseDisk'
  | 'snapshotDisks'
  | 'snapshotState'
  | 'mergeDown'
  | 'console'
  | 'sendKeys'
  | 'screenshot'

/** Failures and waits that a test asks for. */
export interface FakeFaults {
  /** The next call of `operation` fails with `error`; repeated calls queue up. */
  failNext(operation: FakeOperation, error: EngineError): void
  /** Calls of `operation` wait until the returned function is called. */
  hold(operation: FakeOperation): () => void
  /** Where an operation would do its work. */
  meet(operation: FakeOperation): Promise<void>
}

export function createFakeFaults(): FakeFaults {
  const failures = new Map<FakeOperation, EngineError[]>()
  const holds = new Map<FakeOperation, Promise<void>>()
  return {
    failNext: (operation, error) => void failures.set(operation, [...(failures.get(operation) ?? []), error]),
    hold(operation) {
      let release!: () => void
      holds.set(operation, new Promise((resolve) => (release = resolve)))
      return () => {
        holds.delete(operation)
        release()
      }
    },
    async meet(operation) {
      await holds.get(operation)
      const failure = failures.get(operation)?.shift()
      if (failure) throw failure
    },
  }
}
