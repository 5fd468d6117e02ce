import type { Viewer } from '../domain/console.js'
import type { NodeId } from '../domain/ids.js'
import { type ConsoleSession, viewerOf } from './session.js'

/** Who has which console open. Each open console of a node is told when that changes. */
export interface Presence {
  add(session: ConsoleSession): void
  remove(session: ConsoleSession): void
  /** In the order in which they came. */
  of(nodeId: NodeId): ConsoleSession[]
  all(): ConsoleSession[]
  viewers(nodeId: NodeId): Viewer[]
  /** Tells everybody on the node, soon and once for many changes. */
  changed(nodeId: NodeId): void
}

/** Changes within this time are told together, so that one who takes control in a loop does not flood the others. */
const TELL_INTERVAL_MS = 50

export function createPresence(): Presence {
  const byNode = new Map<NodeId, Set<ConsoleSession>>()
  const waiting = new Set<NodeId>()

  const of = (nodeId: NodeId) => [...(byNode.get(nodeId) ?? [])]
  const viewers = (nodeId: NodeId) => of(nodeId).map(viewerOf)

  function tell(nodeId: NodeId): void {
    waiting.delete(nodeId)
    const message = { type: 'viewers', viewers: viewers(nodeId) } as const
    for (const session of of(nodeId)) if (session.isGreeted) session.socket.tell(message)
  }

  function changed(nodeId: NodeId): void {
    if (waiting.has(nodeId)) return
    waiting.add(nodeId)
    setTimeout(() => tell(nodeId), TELL_INTERVAL_MS).unref()
  }

  return {
    add(session) {
      const sessions = byNode.get(session.nodeId) ?? new Set()
      byNode.set(session.nodeId, sessions.add(session))
      changed(session.nodeId)
    },
    remove(session) {
      const sessions = byNode.get(session.nodeId)
      if (!sessions?.delete(session)) return
      if (sessions.size === 0) byNode.delete(session.nodeId)
      changed(session.nodeId)
    },
    of,
    all: () => [...byNode.values()].flatMap((sessions) => [...sessions]),
    viewers,
    changed,
  }
}
