/**
 * Calls `act(key)` at once, then at most once per interval while `soon(key)` goes on; the last one is never left out.
 * `now(key)` acts in any case. Timers keep no process alive.
 */
export interface Throttle {
  soon(key: string): void
  now(key: string): void
  close(): void
}

export function createThrottle(intervalMs: number, act: (key: string) => void): Throttle {
  const timers = new Map<string, { timer: NodeJS.Timeout; waiting: boolean }>()

  function rest(key: string): void {
    const timer = setTimeout(() => {
      const waiting = timers.get(key)?.waiting ?? false
      timers.delete(key)
      if (waiting) soon(key)
    }, intervalMs)
    timer.unref()
    timers.set(key, { timer, waiting: false })
  }

  function soon(key: string): void {
    const entry = timers.get(key)
    if (entry) {
      entry.waiting = true
      return
    }
    rest(key)
    act(key)
  }

  function stop(key: string): void {
    clearTimeout(timers.get(key)?.timer)
    timers.delete(key)
  }

  return {
    soon,
    now(key) {
      stop(key)
      act(key)
    },
    close() {
      for (const key of timers.keys()) stop(key)
    },
  }
}
