import type { ConsoleMode } from '../domain/console.js'

/** Someone who looks at a serial line or a screen. */
export interface Claimant {
  id: string
  userId: string
  mode: ConsoleMode
  /** Gets control only by taking it, and hands it back to those who are at home. */
  guest?: boolean
}

/**
 * Who may type on one serial line, or on one screen: nobody or exactly one. Viewers in `view` mode never. The first in `control` mode gets
 * it by itself; so does a newer socket of the same person (they reloaded, or came back after a broken network). Others
 * take it, which everybody sees. When the writer leaves or gives it up, it goes to whoever has waited longest. Who takes it and
 * hands it back more often than a person would is not heard for a while: everybody is told each time, and the audit.
 */
export interface SerialControl {
  readonly writerId: string | null
  join(claimant: Claimant): void
  leave(id: string): void
  take(id: string): void
  release(id: string): void
}

/** Of one viewer, in so long. */
const MOST_CHANGES = 20
const MOST_CHANGES_MS = 60_000

export function createSerialControl(now = () => performance.now()): SerialControl {
  const present = new Map<string, Claimant>()
  const changes = new Map<string, number[]>()
  let writer: Claimant | null = null

  function longestWaiting(except: string): Claimant | null {
    for (const claimant of present.values()) {
      if (claimant.mode === 'control' && !claimant.guest && claimant.id !== except) return claimant
    }
    return null
  }

  function change(id: string, next: Claimant | null): void {
    if (writer?.id === next?.id) return
    const recent = (changes.get(id) ?? []).filter((at) => now() - at < MOST_CHANGES_MS)
    if (recent.length < MOST_CHANGES) {
      writer = next
      recent.push(now())
    }
    changes.set(id, recent)
  }

  return {
    get writerId() {
      return writer?.id ?? null
    },
    join(claimant) {
      present.set(claimant.id, claimant)
      if (claimant.mode !== 'control') return
      if (writer ? writer.userId === claimant.userId : !claimant.guest) writer = claimant
    },
    leave(id) {
      present.delete(id)
      changes.delete(id)
      if (writer?.id === id) writer = longestWaiting(id)
    },
    take(id) {
      const claimant = present.get(id)
      if (claimant?.mode === 'control') change(id, claimant)
    },
    release(id) {
      if (writer?.id === id) change(id, longestWaiting(id))
    },
  }
}
