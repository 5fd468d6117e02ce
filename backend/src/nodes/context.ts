import type { Bus } from '../events/bus.js'
import { SandlabError } from '../domain/error.js'
import type { NodeEvent } from '../domain/event.js'
import type { ImageId, NodeId } from '../domain/ids.js'
import type { Image } from '../domain/image.js'
import type { Layout } from '../domain/layout.js'
import type { NodeRecord, NodeView } from '../domain/node.js'
import type { Role } from '../domain/user.js'
import type { NodeEngine } from '../hosts/engine.js'
import type { Store } from '../state/store.js'
import { writeSidecar } from '../storage/sidecars.js'
import type { Limiter } from '../system/limiter.js'
import type { Logger } from '../system/log.js'
import type { NodeLocks } from '../transactions/node-lock.js'
import type { Operations } from '../transactions/operations.js'
import type { Transactions } from '../transactions/transactions.js'
import type { AdmissionRules } from './admission.js'
import type { GuestPasswords } from './guest-passwords.js'
import type { Observations } from './observe.js'
import { viewOf } from './view.js'

/** Who owns a node, as the accounts' room knows it; asked, never kept. */
export interface Owners {
  get(userId: string): { login: string; role: Role } | undefined
}

export interface Actor {
  id: string | null
  login: string
  /** The request that asks, when it came with an Idempotency-Key. */
  request?: { key: string; hash: string } | null
}

export interface NodeRules extends AdmissionRules {
  /** Nodes that a student may have. */
  studentNodes: number
  /** How long a guest may take to shut down before it is ended the harder way. */
  stopGraceMs: number
  /** Room that is asked for each new overlay: its books, and what its guest writes in the first minutes. Bytes. */
  growthReserveBytes: number
  /** Folders of this machine from which drives may be taken; absent: none but our own. */
  importFolders?: readonly string[]
}

export interface NodesDependencies {
  layout: Layout
  store: Store
  engine: NodeEngine
  locks: NodeLocks
  transactions: Transactions
  operations: Operations
  /** Of this installation; for what must be derived again and never kept. */
  secret: string
  /** Public keys that every guest is given beside its own, for its SSH consoles; absent: none. */
  labKeys?: readonly string[]
  bus: Bus
  log: Logger
  owners: Owners
  rules: NodeRules
  now: () => Date
}

/** What every verb of this room needs. */
export interface NodesContext extends NodesDependencies {
  observations: Observations
  /** Generated ones that nobody has read yet. */
  guestPasswords: GuestPasswords
  /** Bounds how many nodes start at once. */
  startLimiter: Limiter
  /** Nodes between admission and running, so that two starts can't both take the last memory. */
  admitted: Map<NodeId, { cpus: number; memoryMib: number }>
}

/** Throws `not_found`. */
export function recordOf(context: NodesContext, id: string): NodeRecord {
  const record = context.store.data.nodes.find((node) => node.id === id)
  if (!record) throw new SandlabError('not_found', `There is no node ${id}.`)
  return record
}

export function imageOf(context: NodesContext, id: ImageId): Image | undefined {
  return context.store.data.images.find((image) => image.id === id)
}

export function viewNode(context: NodesContext, record: NodeRecord): NodeView {
  const owner = context.owners.get(record.ownerId)?.login ?? 'former user'
  return viewOf(record, imageOf(context, record.imageId), owner, context.observations.of(record.id))
}

export function publishNode(context: NodesContext, id: NodeId): void {
  const record = context.store.data.nodes.find((node) => node.id === id)
  if (record) context.bus.publish('nodes', id, viewNode(context, record), record.ownerId)
}

/**
 * Changes one record: durable state first, then the sidecar, then the page is told. A sidecar that can't be written is
 * logged and mended at the next boot; the state file is the truth.
 */
export async function saveRecord(
  context: NodesContext,
  id: NodeId,
  change: (draft: NodeRecord) => void,
  event?: Omit<NodeEvent, 'at'>,
): Promise<NodeRecord> {
  const at = context.now().toISOString()
  await context.store.change((draft) => {
    const record = draft.nodes.find((node) => node.id === id)
    if (!record) throw new SandlabError('not_found', `There is no node ${id}.`)
    change(record)
    record.updatedAt = at
    if (event) record.events = [{ at, ...event }, ...record.events].slice(0, 100)
  })
  const record = recordOf(context, id)
  await writeSidecar(context.layout, record).catch((error: unknown) => {
    context.log.warn({ err: error, nodeId: id }, 'the sidecar could not be written')
  })
  publishNode(context, id)
  return record
}
