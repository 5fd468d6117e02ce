/** Waits for a condition, bounded by 30 s: on a machine where everything waits for the disk too. `what` says what there is instead when it does not come true. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = () => 'It did not come true.',
): Promise<void> {
  const deadline = Date.now() + 30_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(what())
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Waits until `look` sees something and gives that back; bounded; says what it waited for. */
export async function untilSeen<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  withinMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== false) return seen
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
