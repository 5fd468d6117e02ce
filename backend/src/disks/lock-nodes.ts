import type { NodesContext } from '../nodes/context.js'

/** Alone on several nodes, always taken in one order, so that two operations can't wait for each other. */
export function lockNodes(
  { locks }: Pick<NodesContext, 'locks'>,
  ids: readonly string[],
  action: string,
  work: () => Promise<void>,
): Promise<void> {
  return [...new Set(ids)]
    .toSorted()
    .reduceRight<() => Promise<void>>((inner, id) => () => locks.run(id, action, inner), work)()
}
