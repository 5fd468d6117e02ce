import { authorize, type Action, type OwnedObject } from '../domain/authorize.js'
import { SandlabError } from '../domain/error.js'
import type { UserId } from '../domain/ids.js'
import type { NodeRecord } from '../domain/node.js'
import type { Subject } from '../domain/user.js'
import { labOf, type Services } from './services.js'

export function ownedBy(services: Services, ownerId: UserId): OwnedObject {
  return { ownerId, ownerRole: services.directory.get(ownerId)?.role }
}

/**
 * The node, if this subject may do this to it. A foreign id answers exactly like an absent one; a node that may be seen
 * but not touched in this way answers `not_allowed`.
 */
export function accessNode(services: Services, subject: Subject, id: string, action: Action): NodeRecord {
  const absent = new SandlabError('not_found', `There is no node ${id}.`)
  const record = labOf(services).store.data.nodes.find((node) => node.id === id)
  if (!record) throw absent
  const object = ownedBy(services, record.ownerId)
  if (!authorize(subject, 'node.read', object)) throw absent
  if (!authorize(subject, action, object)) {
    throw new SandlabError('not_allowed', `You may not do this to ${record.name}.`, { hint: 'Ask an instructor.' })
  }
  return record
}

/** For the console gateway: asked again when a ticket is redeemed, when everything may have changed. */
export function mayOpenConsole(services: Services, subject: Subject, nodeId: string): boolean {
  const record = services.lab?.store.data.nodes.find((node) => node.id === nodeId)
  return record !== undefined && authorize(subject, 'node.console', ownedBy(services, record.ownerId))
}
