import type { NodeView } from '@domain/node.js'
import { elapsed, relativeTime } from './time.js'

/** Where a node stands, beside its status: `Up 3 h 05 min`, `Powered itself off 2 h ago`, why it is broken. */
export function whereItStands(node: NodeView, now: number): string {
  switch (node.status) {
    case 'crashed':
      return [sinceWhen(node, now), node.statusReason].filter(Boolean).join(': ')
    case 'paused':
    case 'broken':
    case 'unknown':
      return node.statusReason ?? sinceWhen(node, now)
    default:
      return sinceWhen(node, now)
  }
}

/** As `whereItStands`, for places where the reason stands on its own. */
export function sinceWhen(node: NodeView, now: number): string {
  const since = node.startedAt ? elapsed(now - Date.parse(node.startedAt)) : null
  switch (node.status) {
    case 'creating':
      return 'Its disk is being made'
    case 'starting':
      return since ? `For ${since}` : 'Waiting for the machine'
    case 'running':
      return since ? `Up ${since}` : 'Up'
    case 'paused':
      return 'Keeps its memory'
    case 'stopping':
      return 'The guest was asked to shut down'
    case 'suspending':
      return 'Its memory is being saved'
    case 'suspended':
      return node.suspended ? `Its memory was saved ${relativeTime(node.suspended.at, now)}` : 'Its memory is saved'
    case 'broken':
      return 'Its storage is not as recorded'
    case 'unknown':
      return 'Its host does not answer'
    case 'crashed':
      return node.lastExit ? relativeTime(node.lastExit.at, now) : 'Ended by itself'
    default: // stopped
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
    case 'forced':
      return `Switched off ${when}`
    case 'crashed':
      return `Crashed ${when}`
    default: // asked
      return `Shut down ${when}`
  }
}
