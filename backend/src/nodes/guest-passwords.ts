import type { GuestPassword } from '../domain/node.js'

/**
 * Passwords that were generated for guests, by the operation that made them. In memory only, an hour at most. Once they
 * have been read they stay for a minute more, so that an answer that got lost can be asked for again.
 */
export interface GuestPasswords {
  add(operationId: string, entries: readonly GuestPassword[]): void
  /** Nothing was made after all. */
  forget(operationId: string): void
  take(operationId: string): GuestPassword[]
}

const KEPT_MS = 3_600_000
const KEPT_AFTER_READING_MS = 60_000

export function createGuestPasswords(now: () => number = () => performance.now()): GuestPasswords {
  const kept = new Map<string, { entries: GuestPassword[]; until: number }>()

  function current(operationId: string) {
    for (const [id, { until }] of kept) if (until <= now()) kept.delete(id)
    return kept.get(operationId)
  }

  return {
    add(operationId, entries) {
      const known = current(operationId)?.entries ?? []
      const fresh = entries.filter(({ id }) => !known.some((one) => one.id === id))
      if (known.length + fresh.length > 0)
        kept.set(operationId, { entries: [...known, ...fresh], until: now() + KEPT_MS })
    },
    forget: (operationId) => void kept.delete(operationId),
    take(operationId) {
      const found = current(operationId)
      if (found) found.until = Math.min(found.until, now() + KEPT_AFTER_READING_MS)
      return found?.entries ?? []
    },
  }
}
