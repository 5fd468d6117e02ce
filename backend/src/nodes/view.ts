import { overlayApiPath } from '../domain/layout.js'
import { type Image, sshRefusalOf } from '../domain/image.js'
import {
  NODE_ACTIONS,
  nodeRefuses,
  type NodeAction,
  type NodeRecord,
  type NodeStatus,
  type NodeView,
} from '../domain/node.js'
import type { EngineNode } from '../hosts/engine.js'

/** What is known of a node besides its record; all of it observed, none of it kept. */
export interface Observation {
  engine: EngineNode | undefined
  /** An action of ours that is under way. */
  transition: 'creating' | 'starting' | 'stopping' | 'suspending' | undefined
  /** Why its storage can't be used; undefined when it is well or not yet looked at. */
  storageFault: string | undefined
  diskUsedBytes: number | null
}

/** The truth about a process is asked of the process; the record only says what was wanted. Pure. */
export function statusOf(record: NodeRecord, seen: Observation): { status: NodeStatus; reason: string | null } {
  const phase = seen.engine?.phase
  const reason = seen.engine?.reason ?? null
  if (phase === 'unknown') return { status: 'unknown', reason }
  if (seen.transition) return { status: seen.transition, reason: null }
  if (phase === 'running' || phase === 'starting' || phase === 'stopping') return { status: phase, reason: null }
  if (phase === 'paused') return { status: 'paused', reason }
  if (seen.storageFault !== undefined) return { status: 'broken', reason: seen.storageFault }
  if (record.suspended) return { status: 'suspended', reason: null }
  if (record.desired === 'running') {
    return {
      status: 'crashed',
      reason: record.lastExit?.reason ?? reason ?? 'It ended while SandLabX was not running.',
    }
  }
  return { status: 'stopped', reason: null }
}

export function viewOf(record: NodeRecord, image: Image | undefined, ownerLogin: string, seen: Observation): NodeView {
  const { status, reason } = statusOf(record, seen)
  const alive = seen.engine?.phase === 'running' || seen.engine?.phase === 'paused' || status === 'stopping'
  return {
    id: record.id,
    name: record.name,
    status,
    statusReason: reason,
    desired: record.desired,
    image: record.imageId,
    imageTitle: image?.title ?? record.imageId,
    cpus: record.cpus,
    memoryMib: record.memoryMib,
    diskBytes: record.diskBytes,
    diskUsedBytes: seen.diskUsedBytes,
    overlayPath: overlayApiPath(record.overlayFile),
    ownerId: record.ownerId,
    ownerLogin,
    mac: record.mac,
    internet: record.internet,
    guestUser: record.guest.user,
    loginNotes: image?.loginNotes ?? '',
    createdAt: record.createdAt,
    updatedAt: record.updatedAt,
    startedAt: alive ? (seen.engine?.startedAt ?? null) : null,
    accelerator: alive ? (seen.engine?.accelerator ?? null) : null,
    lastExit: record.lastExit,
    snapshotSchedule: record.snapshotSchedule,
    suspended: suspendedOf(record),
    onStop: record.onStop,
    recording: record.recording,
    keyboard: record.keyboard,
    agent: record.agent,
    drivesPending: alive && isAfter(record.drivesChangedAt, seen.engine?.startedAt),
    sshRefusal: sshRefusalOf(image),
    actions: actionsOf(status),
  }
}

function suspendedOf({ suspended }: NodeRecord): NodeView['suspended'] {
  return suspended && { at: suspended.at, sizeBytes: suspended.sizeBytes, why: suspended.why }
}

/** A change of drives that a run which began then does not have. Pure. */
export function isAfter(changedAt: string | null, startedAt: string | null | undefined): boolean {
  return changedAt !== null && startedAt != null && Date.parse(changedAt) > Date.parse(startedAt)
}

function actionsOf(status: NodeStatus): Record<NodeAction, string | null> {
  const reasons = NODE_ACTIONS.map((action) => [action, nodeRefuses(action, status) ?? null] as const)
  return Object.fromEntries(reasons) as Record<NodeAction, string | null> // every action is a key: built from the table
}
