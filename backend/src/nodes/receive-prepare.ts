import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { DEFAULT_SETTINGS } from '../domain/drive.js'
import { isSandlabError, SandlabError } from '../domain/error.js'
import { nodeIdSchema, userIdSchema } from '../domain/ids.js'
import type { Image } from '../domain/image.js'
import { overlayFileName } from '../domain/layout.js'
import { nodeRecordSchema, type NodeRecord } from '../domain/node.js'
import type { OperationPlan } from '../domain/plan.js'
import type { NodeTransfer } from '../domain/transfer.js'
import { macOf } from '../hosts/machine.js'
import type { KeptTransfer } from '../images/transfers.js'
import { usedBytes } from '../storage/overlays.js'
import { measureSpace, noSpace, type Need } from '../storage/space.js'
import { errorOf } from '../transactions/operation-record.js'
import { cloneIntentSchema } from './clone-intent.js'
import { viewNode, type Actor, type NodesContext } from './context.js'
import { nameTaken, refuseOverQuota } from './new-record.js'
import { storageOf } from './node-storage.js'
import { replaceWarning } from './replace.js'

export const receiveIntentSchema = cloneIntentSchema
  .pick({
    id: true,
    at: true,
    replaced: true,
    replacedBy: true,
    replacedStorage: true,
    keptLayers: true,
    from: true,
    actor: true,
    start: true,
  })
  .extend({
    record: nodeRecordSchema,
    transferId: z.uuid(),
    uploadId: z.string(),
    sha256: z.string(),
    /** Of the upload, and of the disk that it becomes. */
    sizeBytes: z.int(),
    unpackedBytes: z.int(),
  })
export type ReceiveIntent = z.infer<typeof receiveIntentSchema>

/** What the account behind the token may do besides. */
export interface ReceiveRights {
  /** The node keeps its way to the internet. */
  internet: boolean
}

/** What it would take here, the upload included, and whether it would be refused. */
export async function planReceive(
  context: NodesContext,
  transfer: KeptTransfer & { request: NodeTransfer },
  actor: Actor,
  rights: ReceiveRights,
): Promise<{ plan: OperationPlan; refusal: SandlabError | null }> {
  const { request } = transfer
  const { intent, refused } = prepareOrRefusal(context, transfer, actor, rights)
  const space = await measureSpace([
    { path: context.layout.images, bytes: request.disk.sizeBytes },
    { path: context.layout.overlays, bytes: request.unpackedBytes + context.rules.growthReserveBytes },
  ])
  const short = space.find(({ freeUpBytes }) => freeUpBytes > 0)
  const refusal = refused ?? (short ? noSpace(short, `receive ${request.node.name}`) : null)
  const replaced = intent?.replaced ?? []
  const plan: OperationPlan = {
    kind: 'node.receive',
    title: `Receive ${request.node.name} from ${request.from}`,
    steps: ['Take in the upload', 'Compare its checksum', 'Convert it to a clean disk', 'Record the node'],
    space,
    creates: [{ type: 'node', name: request.node.name }],
    replaces: await Promise.all(
      replaced.map(async ({ id, name }) => ({
        type: 'node' as const,
        id,
        name,
        bytes: (await usedBytes(`${context.layout.overlays}/${overlayFileName(id)}`)) ?? 0,
        fate: 'moves to the trash',
      })),
    ),
    files: [],
    warnings: replaced.map((node) => replaceWarning(node, request.replace)),
    refusal: refusal && errorOf(refusal),
  }
  return { plan, refusal }
}

/** The base image that was sent from there, or one that is the same to the byte. */
export function imageLike(images: readonly Image[], sha256: string): Image | undefined {
  return images.find((image) => image.fingerprint.sha256 === sha256 || image.sourceSha256 === sha256)
}

function prepareOrRefusal(...given: Parameters<typeof prepareReceive>) {
  try {
    return { intent: prepareReceive(...given), refused: null }
  } catch (error) {
    if (!isSandlabError(error)) throw error
    return { intent: null, refused: error }
  }
}

/** All that receiving it will name here. Throws `not_found` without its base image, `name_taken`, `wrong_status`, `quota_reached`. Changes nothing. */
export function prepareReceive(
  context: NodesContext,
  { id: transferId, request }: KeptTransfer & { request: NodeTransfer },
  actor: Actor,
  rights: ReceiveRights,
): Omit<ReceiveIntent, 'uploadId'> {
  const image = imageLike(context.store.data.images, request.imageSha256)
  if (!image) {
    throw new SandlabError('not_found', 'The base image of this node is not here.', { hint: 'Send the image first.' })
  }
  const ownerId = userIdSchema.parse(actor.id)
  const replaced = inTheWay(context, request, ownerId)
  refuseOverQuota(context, ownerId, 1 - replaced.length)
  const at = context.now().toISOString()
  return {
    id: randomUUID(),
    at,
    record: recordFor(request, image, { ownerId, at, actor, rights }),
    transferId,
    sha256: request.disk.sha256,
    sizeBytes: request.disk.sizeBytes,
    unpackedBytes: request.unpackedBytes,
    replaced,
    replacedBy: replaced.length === 0 ? null : request.replace,
    replacedStorage: replaced.map((record) => storageOf(context.store.data, record)),
    keptLayers: [],
    from: { kind: 'none' },
    start: request.start,
    actor: { id: actor.id, login: actor.login },
  }
}

function inTheWay(context: NodesContext, { node, replace }: NodeTransfer, ownerId: string): NodeRecord[] {
  const old = context.store.data.nodes.find(({ name, ownerId: owner }) => name === node.name && owner === ownerId)
  if (!old) return []
  if (replace === null) throw nameTaken(node.name)
  const { status } = viewNode(context, old)
  if (['stopped', 'crashed', 'broken', 'running', 'paused'].includes(status)) return [old]
  throw new SandlabError('wrong_status', `${node.name} can't be replaced now: it is ${status}.`, {
    hint: 'Wait until it has settled, then try again. Nothing was changed.',
  })
}

interface Circumstances {
  ownerId: NodeRecord['ownerId']
  at: string
  actor: Actor
  rights: ReceiveRights
}

function recordFor({ node, from }: NodeTransfer, image: Image, about: Circumstances): NodeRecord {
  const { ownerId, at, actor, rights } = about
  const id = nodeIdSchema.parse(randomUUID())
  return {
    ...node,
    id,
    ownerId,
    imageId: image.id,
    base: image.fingerprint,
    backing: { kind: 'none' },
    overlayFile: overlayFileName(id),
    mac: macOf(id),
    internet: node.internet && rights.internet,
    rootDrive: DEFAULT_SETTINGS,
    drives: [],
    drivesChangedAt: null,
    snapshotSchedule: null,
    suspended: null,
    onStop: null,
    recording: null,
    keyboard: null,
    desired: 'stopped',
    lastExit: null,
    generation: 0,
    createdAt: at,
    updatedAt: at,
    events: [{ at, kind: 'created', text: `Received from ${from}.`, actorLogin: actor.login }],
  }
}

/** The disk, and a copy of the upload where it can't be moved. */
export function needsOf(context: NodesContext, { unpackedBytes, sizeBytes }: Omit<ReceiveIntent, 'uploadId'>): Need[] {
  const bytes = unpackedBytes + sizeBytes + context.rules.growthReserveBytes
  return [{ path: context.layout.overlays, bytes }]
}
