import { SandlabError } from '../domain/error.js'
import type { Operation } from '../domain/operation.js'

const FIRST_TRY_MS = 5_000
const LONGEST_PAUSE_MS = 60_000
const UUID = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g

/** Operations that are committed, and whose last steps the disk refuses. */
export interface Unfinished {
  /**
   * Calls `finish` again and again, with growing pauses, until it resolves. `finish` throws at once (not: rejects) when
   * SandLabX is stopping; then it is the next start's.
   */
  add(operation: Operation, finish: () => Promise<void>): void
  /** Throws `busy` when one of them is about the same things: nobody builds on what is half done. */
  refuse(about: Pick<Operation, 'target' | 'resources'>): void
}

export function createUnfinished(): Unfinished {
  const left = new Map<string, Operation>()
  const tryLater = (operation: Operation, finish: () => Promise<void>, pauseMs: number) => {
    const again = () => {
      try {
        finish().then(
          () => left.delete(operation.id),
          () => tryLater(operation, finish, Math.min(2 * pauseMs, LONGEST_PAUSE_MS)),
        )
      } catch {
        left.delete(operation.id)
      }
    }
    setTimeout(again, pauseMs).unref()
  }
  return {
    add(operation, finish) {
      left.set(operation.id, operation)
      tryLater(operation, finish, FIRST_TRY_MS)
    },
    refuse(about) {
      if (left.size === 0) return
      const names = namesIn(about)
      const half = [...left.values()].find((one) => [...namesIn(one)].some((name) => names.has(name)))
      if (half) throw notFinished(half)
    },
  }
}

/** What an operation is about: its object, its files, and the ids in their names. */
function namesIn({ target, resources }: Pick<Operation, 'target' | 'resources'>): Set<string> {
  const names = [...(target ? [target.id] : []), ...resources.map(({ id }) => id)]
  return new Set([...names, ...names.flatMap((name) => name.match(UUID) ?? [])])
}

function notFinished(operation: Operation): SandlabError {
  return new SandlabError('busy', `"${operation.title}" is done, but the disk still refuses its last steps.`, {
    hint: 'They are tried again every minute. Free space, or look at the disk and the log; then try again.',
    details: { operationId: operation.id },
  })
}
