import { createHmac, randomBytes, randomUUID } from 'node:crypto'
import { DEFAULT_SETTINGS } from '../domain/drive.js'
import { SandlabError } from '../domain/error.js'
import { nodeIdSchema, userIdSchema, type UserId } from '../domain/ids.js'
import type { Image } from '../domain/image.js'
import { overlayFileName } from '../domain/layout.js'
import type { CreateNode, NodeRecord } from '../domain/node.js'
import type { LabState } from '../domain/state.js'
import { formatBytes } from '../domain/units.js'
import { macOf } from '../hosts/machine.js'
import { imageOf, type Actor, type NodesContext } from './context.js'
import { generatePassword } from './guest-password.js'

/**
 * Fills in what a request leaves open. Throws `not_found` for its image, `disk_too_small`, `name_taken`. Changes nothing.
 * `passwordHash`: of the guest's password, see hashGuestPassword.
 */
export function newNode(
  context: NodesContext,
  request: CreateNode,
  actor: Actor,
  passwordHash: string | null,
): NodeRecord {
  const image = requireImage(context, request)
  const ownerId = request.ownerId ?? userIdSchema.parse(actor.id)
  refuseTaken(context.store.data, request.name, ownerId)
  const id = nodeIdSchema.parse(randomUUID())
  const now = context.now().toISOString()
  return {
    id,
    name: request.name,
    ownerId,
    imageId: image.id,
    base: image.fingerprint,
    backing: { kind: 'image' },
    cpus: request.cpus,
    memoryMib: request.memoryMib ?? image.minimumMemoryMib,
    diskBytes: Math.ceil((request.diskBytes ?? image.virtualSizeBytes) / 512) * 512,
    overlayFile: overlayFileName(id),
    mac: macOf(id),
    internet: request.internet,
    guest: {
      user: request.guestUser ?? guestUserFor(context.owners.get(ownerId)?.login ?? actor.login),
      passwordHash,
      sshKeys: request.sshKeys,
    },
    rootDrive: DEFAULT_SETTINGS,
    drives: [],
    drivesChangedAt: null,
    snapshotSchedule: null,
    suspended: null,
    onStop: null,
    recording: null,
    keyboard: null,
    agent: request.agent ?? image.guestAgent ?? false,
    desired: 'stopped',
    lastExit: null,
    generation: 0,
    createdAt: now,
    updatedAt: now,
    events: [{ at: now, kind: 'created', text: `Created from ${image.title}.`, actorLogin: actor.login }],
  }
}

/**
 * For a guest that takes one when none was given; else null. A retry of the same request must answer with the same
 * password, and the clear text is kept nowhere: so it is derived from the request's key and this installation's secret.
 */
export function generatedPassword(
  context: NodesContext,
  request: Pick<CreateNode, 'name' | 'image' | 'guestPassword'>,
  actor: Actor,
): string | null {
  if (request.guestPassword !== undefined || imageOf(context, request.image)?.cloudInit !== true) return null
  if (!actor.request) return generatePassword(randomBytes(32))
  const about = `${actor.id}\n${actor.request.key}\n${request.name}`
  return generatePassword(createHmac('sha256', context.secret).update(about).digest())
}

export function noSuchImage(id: string): SandlabError {
  return new SandlabError('not_found', `There is no base image ${id}.`, {
    hint: 'See `sandlabx image ls`, or the Images page.',
  })
}

function requireImage(context: NodesContext, request: CreateNode): Image {
  const image = imageOf(context, request.image)
  if (!image) throw noSuchImage(request.image)
  if (request.diskBytes !== undefined && request.diskBytes < image.virtualSizeBytes) {
    throw new SandlabError(
      'disk_too_small',
      `A disk of ${formatBytes(request.diskBytes)} is smaller than the image ${image.id} (${formatBytes(image.virtualSizeBytes)}).`,
      {
        hint: `Ask for at least ${formatBytes(image.virtualSizeBytes)}.`,
        details: { minimumBytes: image.virtualSizeBytes },
      },
    )
  }
  return image
}

/** Names are unique among the nodes of one owner; two students may both have a `web`. */
export function refuseTaken(
  state: Pick<Readonly<LabState>, 'nodes'>,
  name: string,
  ownerId: UserId,
  except?: string,
): void {
  if (state.nodes.some((node) => node.name === name && node.ownerId === ownerId && node.id !== except)) {
    throw nameTaken(name)
  }
}

export function nameTaken(name: string): SandlabError {
  return new SandlabError('name_taken', `A node named ${name} already exists.`, {
    hint: 'Choose another name, or delete that node first.',
  })
}

/** Throws `quota_reached` when `more` nodes than `state` has are too many for a student. */
export function refuseOverQuota(
  context: NodesContext,
  ownerId: UserId,
  more: number,
  state: Pick<Readonly<LabState>, 'nodes'> = context.store.data,
): void {
  if (context.owners.get(ownerId)?.role !== 'student') return
  const owned = state.nodes.filter((node) => node.ownerId === ownerId).length
  if (owned + more <= context.rules.studentNodes) return
  throw new SandlabError('quota_reached', `A student can have ${context.rules.studentNodes} nodes, and has ${owned}.`, {
    hint: 'Delete a node first, or ask an instructor.',
  })
}

/** Dots are legal in our logins but not in a guest's user names; `root` is the guest's own. */
export function guestUserFor(login: string): string {
  const user = login.replaceAll('.', '-').slice(0, 32)
  return user === 'root' || !/^[a-z_]/.test(user) ? 'student' : user
}
