import { useSyncExternalStore } from 'react'

/** One clock for the whole page, so that a thousand relative times cost one timer. It stands still while hidden. */
const PERIOD_MS = 1000
const listeners = new Set<() => void>()
let now = Date.now()
let timer: ReturnType<typeof setInterval> | undefined

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  timer ??= setInterval(tick, PERIOD_MS)
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

function tick(): void {
  if (document.hidden) return
  now = Date.now()
  for (const listener of listeners) listener()
}

/** The time rounded down to `stepMs`: a component renders again only when its step has passed. */
export function useNow(stepMs = PERIOD_MS): number {
  return useSyncExternalStore(subscribe, () => Math.max(Math.floor(now / stepMs) * stepMs, 0))
}
