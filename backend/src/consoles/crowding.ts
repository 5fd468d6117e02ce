import { type ConsoleKind, MAX_SSH, MAX_SSH_PER_NODE, MAX_VIEWERS_PER_NODE } from '../domain/console.js'
import type { NodeId } from '../domain/ids.js'
import type { Presence } from './presence.js'

/** Why another console of this kind can't be opened now, in a sentence for people; undefined when it can. */
export function crowding(
  presence: Pick<Presence, 'of' | 'all'>,
  nodeId: NodeId,
  kind: ConsoleKind,
): string | undefined {
  const here = presence.of(nodeId)
  if (here.length >= MAX_VIEWERS_PER_NODE) return `${MAX_VIEWERS_PER_NODE} consoles of this node are open already.`
  if (kind !== 'ssh') return undefined
  if (countSsh(here) >= MAX_SSH_PER_NODE) return `${MAX_SSH_PER_NODE} SSH sessions on this node are open already.`
  if (countSsh(presence.all()) >= MAX_SSH) return `${MAX_SSH} SSH sessions are open already.`
  return undefined
}

function countSsh(sessions: readonly { kind: ConsoleKind }[]): number {
  return sessions.filter(({ kind }) => kind === 'ssh').length
}
