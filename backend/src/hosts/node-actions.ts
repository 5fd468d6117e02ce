import type { NodeId } from '../domain/ids.js'

/** One action at a time for each node: who comes second hears what is under way, and decides. */
export interface NodeActions<Kind extends string> {
  /** The action under way; undefined when there is none. */
  current(id: NodeId): { kind: Kind; done: Promise<unknown> } | undefined
  /** Notes `work` as under way until it settles. Call only when there is no current one. */
  run<T>(id: NodeId, kind: Kind, work: () => Promise<T>): Promise<T>
}

export function createNodeActions<Kind extends string>(): NodeActions<Kind> {
  const current = new Map<NodeId, { kind: Kind; done: Promise<unknown> }>()
  return {
    current: (id) => current.get(id),
    run<T>(id: NodeId, kind: Kind, work: () => Promise<T>): Promise<T> {
      const done = work()
      const entry = { kind, done }
      current.set(id, entry)
      const release = () => {
        if (current.get(id) === entry) current.delete(id)
      }
      done.then(release, release)
      return done
    },
  }
}
