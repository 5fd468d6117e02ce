import { SandlabError } from '../domain/error.js'

/** One action at a time on a node. */
export interface NodeLocks {
  /**
   * Runs `work` alone on this node. The same action under way: its promise is joined, `work` is not called, so that a
   * double click starts once. Another action: `busy`, naming it.
   */
  run<T>(nodeId: string, action: string, work: () => Promise<T>): Promise<T>
  /** The action under way. */
  busy(nodeId: string): string | undefined
}

export function createNodeLocks(): NodeLocks {
  const held = new Map<string, { action: string; result: Promise<unknown> }>()
  return {
    run<T>(nodeId: string, action: string, work: () => Promise<T>): Promise<T> {
      const current = held.get(nodeId)
      // The same action of the same node has the same type of result.
      if (current?.action === action) return current.result as Promise<T>
      if (current) return Promise.reject(busyWith(current.action))
      const result = Promise.resolve()
        .then(work)
        .finally(() => held.delete(nodeId))
      held.set(nodeId, { action, result })
      return result
    },
    busy: (nodeId) => held.get(nodeId)?.action,
  }
}

function busyWith(action: string): SandlabError {
  return new SandlabError('busy', `The node is busy: "${action}" is under way.`, {
    hint: 'Wait until it is done, then try again.',
    details: { action },
  })
}
