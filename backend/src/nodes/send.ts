import { createHash, randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { isSandlabError, SandlabError } from '../domain/error.js'
import { layerIdSchema } from '../domain/ids.js'
import type { Image } from '../domain/image.js'
import { expandNames } from '../domain/name-pattern.js'
import { nodeRefuses, type CloneNode, type NodeRecord } from '../domain/node.js'
import type { Operation } from '../domain/operation.js'
import type { OperationPlan } from '../domain/plan.js'
import type { BeginTransfer, NodeTransfer, TransferFile } from '../domain/transfer.js'
import { writeSidecar } from '../storage/sidecars.js'
import { measureSpace, noSpace, reserveSpace } from '../storage/space.js'
import { errorOf } from '../transactions/operation-record.js'
import type { BulkHandle } from '../transactions/operations.js'
import type { Procedure } from '../transactions/procedure.js'
import { snapshotOf } from './clone-prepare.js'
import { imageOf, publishNode, recordOf, viewNode, type Actor, type NodesContext } from './context.js'
import { noSuchImage } from './new-record.js'
import { createRemote, type Remote, type RemoteOptions } from './remote.js'
import { refusalFrom } from './remote-refusal.js'
import { forgetTransfer, planTransfer, sendTransfer } from './remote-transfer.js'
import {
  filesOfImage,
  imagesThereSchema,
  imageTransfer,
  nodeTransfer,
  sameImage,
  type ImageThere,
} from './send-announcement.js'
import { bytesToSend, COPYING, copyStandalone, sendFolder, type StandaloneDisk } from './send-disk.js'
import { sendIntentSchema, type SendIntent } from './send-intent.js'

/** What one run finds out on its way. */
interface Course {
  images: ImageThere[]
  disk: StandaloneDisk
}

const CANCEL_MS = 5000
const PLAN_MS = 20_000
/** Who has not answered once is not waited for. */
const AT_ONCE: readonly number[] = []
/**
 * Clones a node to another SandLabX: its disk as it was at one moment, in one file; over there it becomes a full copy,
 * whole or not at all. Here nothing is left but a line in its history. `token`: of an account there; null after a
 * restart, when there is only something to take back.
 */
export function sendProcedure(context: NodesContext, token: string | null): Procedure<SendIntent> {
  const course: Partial<Course> = {}
  const remoteFor = ({ url }: SendIntent, op: BulkHandle, pausesMs?: readonly number[]) => {
    const onLost = (reason: string) => op.log(`The connection was lost (${reason}); going on.`)
    return remoteOf({ url, token, signal: op.signal, onLost, ...(pausesMs ? { pausesMs } : {}) })
  }
  return {
    kind: 'node.send',
    intent: sendIntentSchema,
    resources: ({ id }) => [{ type: 'folder', id: `/overlays/.staging/${id}` }],
    around: (intent, work) =>
      reserveSpace([{ path: context.layout.overlays, bytes: intent.needBytes }], `send ${intent.source.name}`, work),
    steps: [
      {
        title: 'Asking the other SandLabX',
        async do(intent, op) {
          const remote = remoteFor(intent, op, AT_ONCE)
          course.images = (await remote.ask(imagesThereSchema, { method: 'GET', path: '/api/images' })).images
          await refuseEarly(context, remote, intent)
        },
      },
      {
        title: COPYING,
        do: async (intent, op) => void (course.disk = await copyStandalone(context, intent, op)),
        undo: (intent) => rm(sendFolder(context, intent), { recursive: true, force: true }),
      },
      {
        title: 'Sending its base image',
        async do(intent, op) {
          const image = requireImage(context, intent)
          const { images = [] } = course
          if (sameImage(images, image)) return
          const transfer = await imageTransfer(context, intent, image, images)
          await sendOrForget(context, remoteFor(intent, op), transfer, filesOfImage(context, image), op)
        },
      },
      {
        title: 'Sending the disk',
        async do(intent, op) {
          if (!course.disk) throw new Error('a disk is sent before it is copied')
          const image = requireImage(context, intent)
          const there = sameImage(course.images ?? [], image) ?? image
          const transfer = nodeTransfer(intent, there.fingerprint.sha256, course.disk)
          const made = await sendOrForget(context, remoteFor(intent, op), transfer, { disk: course.disk.path }, op)
          op.item(0, { id: made.items[0]?.id ?? null, state: 'succeeded' })
        },
      },
    ],
    commit(draft, { source, name, url, at, actor }) {
      const record = draft.nodes.find(({ id }) => id === source.id)
      if (!record) return // deleted meanwhile: over there it lives on
      const text = `Cloned to ${name} at ${new URL(url).host}.`
      record.events = [{ at, kind: 'changed' as const, text, actorLogin: actor.login }, ...record.events].slice(0, 100)
    },
    after: [
      {
        title: 'Tidying up',
        async do(intent) {
          await rm(sendFolder(context, intent), { recursive: true, force: true })
          const record = context.store.data.nodes.find(({ id }) => id === intent.source.id)
          if (!record) return
          await writeSidecar(context.layout, record)
          publishNode(context, record.id)
        },
      },
    ],
  }
}

/**
 * Begins to clone a node to another SandLabX; back as soon as it has begun. For instructors and administrators: the
 * address is theirs to choose, and this server connects to it. A request with the key of an earlier one that failed goes
 * on with what the other side has.
 *
 * Throws `not_allowed`, `not_found`, `wrong_status`, `bad_request`, `no_space`, `key_reused`; the operation fails with
 * `remote_failed`, or with what the other side refuses, as `name_taken` and `no_space`.
 */
export async function sendNode(
  context: NodesContext,
  id: string,
  request: CloneNode,
  actor: Actor,
): Promise<Operation> {
  refuseStudents(context, actor)
  const earlier = context.transactions.earlier(actor)
  if (earlier) return earlier.operation
  const { token, ...intent } = await prepareSend(context, id, request, actor)
  const [space] = await measureSpace([{ path: context.layout.overlays, bytes: intent.needBytes }])
  if (space && space.freeUpBytes > 0) throw noSpace(space, `send ${intent.source.name}`)
  const { operation } = context.transactions.run(sendProcedure(context, token), intent, {
    title: titleOf(intent),
    actor,
    target: { type: 'node', id: intent.source.id },
    cancellable: true,
    request: actor.request ?? null,
    items: [{ id: null, name: intent.name }],
  })
  return operation
}

/** What a send would do here and there; the other side is asked, nothing is copied. Throws `not_allowed`. */
export async function planSend(
  context: NodesContext,
  id: string,
  request: CloneNode,
  actor: Actor,
): Promise<OperationPlan> {
  refuseStudents(context, actor)
  const { token, ...intent } = await prepareSend(context, id, request, actor)
  const space = await measureSpace([{ path: context.layout.overlays, bytes: intent.needBytes }])
  const short = space.find(({ freeUpBytes }) => freeUpBytes > 0)
  const there = await planThere(context, intent, token).catch((error: unknown) => {
    if (isSandlabError(error)) return error
    throw error
  })
  const refused = isSandlabError(there) ? there : null
  const plan = isSandlabError(there) ? null : there
  const refusal = errorOf(short ? noSpace(short, `send ${intent.source.name}`) : refused)
  return {
    kind: 'node.send',
    title: titleOf(intent),
    steps: [COPYING, 'Send its base image, if it is not there', 'Send the disk', ...(plan?.steps ?? [])],
    space: [...space, ...(plan?.space ?? [])],
    creates: [{ type: 'node', name: intent.name }],
    replaces: plan?.replaces ?? [],
    files: [],
    warnings: [...staysHere(intent.source), ...(plan?.warnings ?? [])],
    refusal: short || refused ? refusal : refusalThere(plan?.refusal ?? null),
  }
}

/** Only the root disk travels. */
function staysHere({ drives }: Pick<NodeRecord, 'drives'>): string[] {
  return drives.map(({ id }) => `The drive ${id} stays here: only the root disk is sent.`)
}

async function planThere(context: NodesContext, intent: SendIntent, token: string): Promise<OperationPlan> {
  const signal = AbortSignal.timeout(PLAN_MS)
  const remote = remoteOf({ url: intent.url, token, signal, pausesMs: AT_ONCE })
  return planTransfer(remote, announced(context, intent)).catch((error: unknown) => {
    throw signal.aborted
      ? new SandlabError('remote_failed', `${remote.host} does not answer.`, { cause: error })
      : error
  })
}

/** Before a byte is copied: the name, the quota, the room over there. */
async function refuseEarly(context: NodesContext, remote: Remote, intent: SendIntent): Promise<void> {
  const plan = await planTransfer(remote, announced(context, intent))
  const refusal = refusalThere(plan.refusal)
  if (refusal) throw refusalFrom(remote.host, refusal)
}

/** That its base image is missing is no refusal: it is sent first. */
function refusalThere(refusal: OperationPlan['refusal']): OperationPlan['refusal'] {
  return refusal?.code === 'not_found' ? null : refusal
}

/** With figures that are too high rather than too low, since nothing has been copied yet. */
function announced(context: NodesContext, intent: SendIntent): NodeTransfer {
  const bytes = Math.max(1, intent.needBytes)
  const disk = { path: '', sha256: '0'.repeat(64), sizeBytes: bytes, unpackedBytes: bytes }
  return nodeTransfer(intent, requireImage(context, intent).fingerprint.sha256, disk)
}

type Prepared = SendIntent & { token: string }

async function prepareSend(context: NodesContext, id: string, request: CloneNode, actor: Actor): Promise<Prepared> {
  const source = recordOf(context, id)
  const { to } = request
  if (!to) throw new SandlabError('bad_request', 'A send needs the address of another SandLabX.')
  refuseUnfit(request)
  createRemote({ ...to, signal: AbortSignal.timeout(1000) }) // for its refusal of the address
  const snapshotId = snapshotOf(context, source, request.snapshot)
  const refusal = snapshotId === null ? nodeRefuses('clone', viewNode(context, source).status) : undefined
  if (refusal !== undefined) throw new SandlabError('wrong_status', `${source.name}: ${refusal}`)
  return {
    id: randomUUID(),
    at: context.now().toISOString(),
    source,
    snapshotId,
    layerName: null,
    layerId: layerIdSchema.parse(randomUUID()),
    start: request.start,
    actor: { id: actor.id, login: actor.login },
    url: to.url,
    token: to.token,
    name: expandNames(request.name, 1)[0] ?? '',
    replace: request.idempotent ? 'idempotent' : request.force ? 'force' : null,
    key: wireKey(source.id, actor.request?.key ?? randomUUID()),
    needBytes: await bytesToSend(context, { source, snapshotId }),
  }
}

/** What has no meaning over there, or would be several transfers. */
function refuseUnfit({ count, ownerId, snapshotFirst }: CloneNode): void {
  const fault =
    count > 1
      ? 'One clone at a time goes to another SandLabX.'
      : ownerId !== undefined
        ? 'Over there it belongs to the account of the token.'
        : snapshotFirst
          ? 'A send changes nothing here: it needs no snapshot first.'
          : undefined
  if (fault !== undefined) throw new SandlabError('bad_request', fault)
}

function refuseStudents({ owners }: NodesContext, actor: Actor): void {
  if (actor.id === null || owners.get(actor.id)?.role !== 'student') return
  throw new SandlabError('not_allowed', 'Students may not send nodes to another SandLabX.', {
    hint: 'Ask an instructor.',
  })
}

/** Two labs that send with one token may have chosen the same key. */
function wireKey(nodeId: string, key: string): string {
  return createHash('sha256').update(`${nodeId}\n${key}`).digest('hex')
}

function remoteOf({ token, ...options }: Omit<RemoteOptions, 'token'> & { token: string | null }): Remote {
  if (token === null) throw new Error('a send needs its token')
  return createRemote({ ...options, token })
}

/** Somebody cancels: nothing is kept over there. SandLabX stops, or the connection stays away: a later try goes on. */
async function sendOrForget(
  context: NodesContext,
  remote: Remote,
  transfer: BeginTransfer,
  files: Partial<Record<TransferFile, string>>,
  op: BulkHandle,
): Promise<Operation> {
  try {
    return await sendTransfer(remote, transfer, files, op)
  } catch (error) {
    if (op.signal.aborted && context.operations.get(op.id)?.cancellable === false) {
      await forgetTransfer(remote.with(AbortSignal.timeout(CANCEL_MS)), transfer).catch((failure: unknown) => {
        context.log.info({ err: failure, host: remote.host }, 'a cancelled transfer is swept over there in two days')
      })
    }
    throw error
  }
}

function requireImage(context: NodesContext, { source }: SendIntent): Image {
  const image = imageOf(context, source.imageId)
  if (image) return image
  throw noSuchImage(source.imageId)
}

function titleOf({ source, name, url }: SendIntent): string {
  return `Clone ${source.name} to ${name} at ${new URL(url).host}`
}
