import { randomUUID } from 'node:crypto'
import { SandlabError } from '../domain/error.js'
import { nodeIdSchema, userIdSchema, type UserId } from '../domain/ids.js'
import type { Image } from '../domain/image.js'
import { overlayFileName } from '../domain/layout.js'
import type { CreateNode, NodeRecord } from '../domain/node.js'
import type { LabState } from '../domain/state.js'
import { formatBytes, MIB } from '../domain/units.js'
import { macOf } from '../hosts/machine.js'
import { requireSpace } from '../storage/space.js'
import { writeSidecar } from '../storage/sidecars.js'
import { discardOverlay } from '../storage/overlays.js'
import { hashGuestPassword } from '../system/crypt-password.js'
import { transaction } from '../transactions/transaction.js'
import { imageOf, publishNode, recordOf, type Actor, type NodesContext } from './context.js'
import { engineFailure } from './engine-failure.js'
import { generatePassword } from './guest-password.js'
import { specOf } from './spec.js'

/** An empty overlay and what its guest writes in the first minutes. */
const GROWTH_RESERVE_BYTES = 64 * MIB

export interface CreatedNode {
  record: NodeRecord
  /** Set when none was given and the guest takes one: shown once, never kept. */
  guestPassword: string | null
}

/** Overlay, then the durable record, which is the commit; a failure before it leaves nothing behind. */
export async function createNode(context: NodesContext, request: CreateNode, actor: Actor): Promise<CreatedNode> {
  const image = requireImage(context, request)
  const ownerId = request.ownerId ?? userIdSchema.parse(actor.id)
  refuseTaken(context.store.data, request.name, ownerId)
  refuseOverQuota(context, ownerId)
  await requireSpace({
    path: context.layout.overlays,
    bytes: GROWTH_RESERVE_BYTES,
    what: `create ${request.name}`,
  })

  const guestPassword = request.guestPassword ?? (image.cloudInit ? generatePassword() : null)
  const record = await newRecord(context, request, image, ownerId, guestPassword, actor)

  await transaction(async (undo) => {
    await context.engine
      .ensureNode(specOf(record, image), `create-${record.id}`)
      .wait()
      .catch((error: unknown) => {
        throw engineFailure(error, `Could not make the disk of ${record.name}`)
      })
    undo(() => discardOverlay(context.layout, record.id))
    await context.store.change((draft) => {
      refuseTaken(draft, record.name, ownerId)
      if (!draft.images.some(({ id }) => id === image.id)) throw noSuchImage(image.id) // deleted since we looked
      if (draft.nodes.some((node) => node.mac === record.mac)) {
        throw new SandlabError('busy', `Could not create ${record.name}: its network address is taken. Try again.`)
      }
      draft.nodes.push(record)
    })
  })

  await writeSidecar(context.layout, record).catch((error: unknown) => {
    context.log.warn({ err: error, nodeId: record.id }, 'the sidecar could not be written')
  })
  await context.observations.inspectStorage(record, image)
  publishNode(context, record.id)
  return { record: recordOf(context, record.id), guestPassword: request.guestPassword ? null : guestPassword }
}

function noSuchImage(id: string): SandlabError {
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
export function refuseTaken(state: Readonly<LabState>, name: string, ownerId: UserId, except?: string): void {
  if (state.nodes.some((node) => node.name === name && node.ownerId === ownerId && node.id !== except)) {
    throw new SandlabError('name_taken', `A node named ${name} already exists.`, {
      hint: 'Choose another name, or delete that node first.',
    })
  }
}

function refuseOverQuota(context: NodesContext, ownerId: UserId): void {
  if (context.owners.get(ownerId)?.role !== 'student') return
  const owned = context.store.data.nodes.filter((node) => node.ownerId === ownerId).length
  if (owned < context.rules.studentNodes) return
  throw new SandlabError('quota_reached', `A student can have ${context.rules.studentNodes} nodes, and has ${owned}.`, {
    hint: 'Delete a node first, or ask an instructor.',
  })
}

async function newRecord(
  context: NodesContext,
  request: CreateNode,
  image: Image,
  ownerId: UserId,
  guestPassword: string | null,
  actor: Actor,
): Promise<NodeRecord> {
  const id = nodeIdSchema.parse(randomUUID())
  const now = context.now().toISOString()
  return {
    id,
    name: request.name,
    ownerId,
    imageId: image.id,
    base: image.fingerprint,
    cpus: request.cpus,
    memoryMib: request.memoryMib ?? image.minimumMemoryMib,
    diskBytes: Math.ceil((request.diskBytes ?? image.virtualSizeBytes) / 512) * 512,
    overlayFile: overlayFileName(id),
    mac: macOf(id),
    internet: request.internet,
    guest: {
      user: request.guestUser ?? guestUserFor(actor.login),
      passwordHash: guestPassword === null ? null : await hashGuestPassword(guestPassword),
      sshKeys: request.sshKeys,
    },
    desired: 'stopped',
    lastExit: null,
    generation: 0,
    createdAt: now,
    updatedAt: now,
    events: [{ at: now, kind: 'created', text: `Created from ${image.title}.`, actorLogin: actor.login }],
  }
}

/** Dots are legal in our logins but not in a guest's user names; `root` is the guest's own. */
function guestUserFor(login: string): string {
  const user = login.replaceAll('.', '-').slice(0, 32)
  return user === 'root' || !/^[a-z_]/.test(user) ? 'student' : user
}
