/**
 * Lets other work in between the parts of a long one: `await breathe()` gives the event loop a turn once `sliceMs` have
 * gone by since the last, and otherwise costs next to nothing.
 */
export function createBreather(sliceMs = 8): () => Promise<void> | undefined {
  let began = performance.now()
  return () => {
    if (performance.now() - began < sliceMs) return undefined
    return new Promise((resolve) =>
      setImmediate(() => {
        began = performance.now()
        resolve()
      }),
    )
  }
}
