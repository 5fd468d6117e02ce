import { setTimeout as delay } from 'node:timers/promises'
import type { NodesContext } from '../../nodes/context.js'

/** A start, a restart or a rename is over soon: what waits for it need not be asked again. */
const SOON = /^(start|restart|update-.*)$/
const PATIENCE_MS = 30_000
const LOOK_EVERY_MS = 20

/**
 * Alone on the nodes whose drives are changed. Drives may be changed in every status: a start under way is waited for, so
 * that it has them all or none; a stop does not touch them and goes on beside. Throws `busy` for what takes longer.
 */
export async function aloneOnDrives(
  context: NodesContext,
  nodeIds: readonly string[],
  action: string,
  work: () => Promise<void>,
): Promise<void> {
  const inOrder = [...new Set(nodeIds)].toSorted()
  const locked = inOrder.reduceRight<() => Promise<void>>((inner, id) => () => alone(context, id, action, inner), work)
  await locked()
}

async function alone(
  { locks }: NodesContext,
  nodeId: string,
  action: string,
  work: () => Promise<void>,
): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  while (SOON.test(locks.busy(nodeId) ?? '') && performance.now() < deadline) await delay(LOOK_EVERY_MS)
  return locks.busy(nodeId) === 'stop' ? work() : locks.run(nodeId, action, work)
}
