import type { NodeView } from '@domain/node.js'
import { elapsed, relativeTime } from './time.js'

/** One sentence on where a node stands: `Up 3 h 05 min`, `Powered itself off 2 h ago`. */
export function whereItStands(node: NodeView, now: number): string {
  const since = node.startedAt ? now - Date.parse(node.startedAt) : null
  switch (node.status) {
    case 'creating':
      return 'Being created'
    case 'starting':
      return since === null ? 'Starting' : `Starting for ${elapsed(since)}`
    case 'running':
      return since === null ? 'Running' : `Up ${elapsed(since)}`
    case 'paused':
      return node.statusReason ?? 'Paused, keeps its memory'
    case 'stopping':
      return 'Waiting for the guest to shut down'
    case 'unknown':
      return node.statusReason ?? 'Its host does not answer'
    case 'broken':
      return node.statusReason ?? 'Its storage is not as recorded'
    case 'crashed':
    case 'stopped':
      return howItEnded(node, now)
  }
}

function howItEnded(node: NodeView, now: number): string {
  const { lastExit } = node
  if (!lastExit) return `Never started, created ${relativeTime(node.createdAt, now)}`
  const when = relativeTime(lastExit.at, now)
  switch (lastExit.how) {
    case 'guest':
      return `Powered itself off ${when}`
    case 'asked':
      return `Shut down ${when}`
    case 'forced':
      return `Switched off ${when}`
    case 'crashed':
      return `Crashed ${when}`
  }
}
