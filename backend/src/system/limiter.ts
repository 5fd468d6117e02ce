/** Runs at most `limit` works at once; the others wait in order. */
export interface Limiter {
  run<T>(work: () => Promise<T>): Promise<T>
}

export function createLimiter(limit: number): Limiter {
  const waiting: (() => void)[] = []
  let running = 0
  return {
    async run(work) {
      if (running >= limit) await new Promise<void>((resolve) => waiting.push(resolve))
      else running += 1
      try {
        return await work()
      } finally {
        // The place is handed on, not freed and taken again: nobody can slip in between.
        const next = waiting.shift()
        if (next) next()
        else running -= 1
      }
    },
  }
}
