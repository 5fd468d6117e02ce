import type { NodeId } from '../domain/ids.js'

const lines = new Map<NodeId, Promise<unknown>>()

/** Work of one kind on a node, one after the other in the order of asking: thirty people clone the same node at once. */
export async function inTurn<T>(id: NodeId, work: () => Promise<T>): Promise<T> {
  const before = lines.get(id) ?? Promise.resolve()
  const mine = before.then(work)
  const done = mine.catch(() => undefined)
  lines.set(id, done)
  try {
    return await mine
  } finally {
    if (lines.get(id) === done) lines.delete(id)
  }
}
