/** Waits for a condition, bounded by 10 s. `what` says what there is instead when it does not come true. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = () => 'It did not come true.',
): Promise<void> {
  const deadline = Date.now() + 10_000
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(what())
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
