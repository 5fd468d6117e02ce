import { basename } from 'node:path'
import { z } from 'zod'
import { authorize } from '../../domain/authorize.js'
import { SandlabError } from '../../domain/error.js'
import { transferFile, uploadsDir } from '../../domain/layout.js'
import { operationSchema, type Operation } from '../../domain/operation.js'
import {
  beginTransferSchema,
  filesOfTransfer,
  transferSchema,
  type BeginTransfer,
  type ImageTransfer,
  type NodeTransfer,
  type Transfer,
} from '../../domain/transfer.js'
import { importImage, type ImportRequest } from '../../images/import-room.js'
import { refuseTaken } from '../../images/import-steps.js'
import {
  findTransfer,
  forgetTransfer,
  keepTransfer,
  requireTransfer,
  transferIdOf,
  type KeptTransfer,
} from '../../images/transfers.js'
import { planMaking } from '../../images/making.js'
import type { TransferUpload } from '../../images/uploads.js'
import type { Actor } from '../../nodes/context.js'
import { requireSpace } from '../../storage/space.js'
import { ownedBy } from '../node-access.js'
import { route, type RouteContext } from '../route.js'
import { labOf, type Services } from '../services.js'
import { imagesOf } from './images.js'

/** The receiving side of a clone to another SandLabX: begin, upload each file to /api/uploads, commit. */

const params = z.object({ id: z.uuid() })
type Context<B = undefined> = Pick<
  RouteContext<unknown, unknown, B>,
  'services' | 'subject' | 'asked' | 'about' | 'body'
>

export const transferRoutes = [
  route({
    method: 'post',
    path: '/api/transfers',
    tag: 'Transfers',
    summary: 'Announce a node or an image that another SandLabX will send; the same key goes on with it',
    access: 'node.transfer',
    body: beginTransferSchema,
    answer: { status: 201, schema: z.object({ transfer: transferSchema }) },
    errors: ['name_taken', 'image_exists', 'quota_reached', 'no_space', 'key_reused'],
    audit: 'transfer.begin',
    async plan(context) {
      const { services, subject, body } = context
      const kept = { id: transferIdOf(subject.userId, body), ownerId: subject.userId, request: body }
      if (isNode(kept)) {
        return (await labOf(services).nodes.planReceive(kept, actorOf(context), rightsOf(context))).plan
      }
      return planImage(services, imageOf(body))
    },
    async handle(context) {
      const { services, subject, body } = context
      const id = transferIdOf(subject.userId, body)
      context.about({ type: 'transfer', id, name: body.kind === 'node' ? body.node.name : body.image.id })
      const committed = committedOf(context, id)
      if (committed) return { transfer: { id, files: [], operationId: committed.id } }
      const kept = { id, ownerId: subject.userId, request: body }
      await refuseEarly(context, kept)
      const uploads = await takenUp(services, kept)
      await keepTransfer(services.config.layout, kept)
      return { transfer: viewOf(kept, uploads) }
    },
  }),
  route({
    method: 'post',
    path: '/api/transfers/{id}/commit',
    tag: 'Transfers',
    summary: 'Make the node or the image, once all of it has been uploaded',
    access: 'node.transfer',
    params,
    answer: { status: 202, schema: z.object({ operation: operationSchema }) },
    errors: ['not_found', 'wrong_status', 'name_taken', 'image_exists', 'quota_reached', 'no_space', 'key_reused'],
    audit: 'transfer.commit',
    async handle(context) {
      const { services, subject, params } = context
      context.about({ type: 'transfer', id: params.id })
      const { layout } = services.config
      const lab = labOf(services)
      // By the transfer, whatever key this very request came with: it is committed once.
      const actor = { ...actorOf(context), request: { key: params.id, hash: params.id } }
      const committed = committedOf(context, params.id)
      if (committed) return { operation: committed }
      const kept = await requireTransfer(layout, params.id, subject.userId)
      const uploads = await lab.uploads.ofTransfer(kept.id, subject.userId)
      for (const { name } of filesOfTransfer(kept.request)) {
        await lab.uploads.pathOf(uploads.find((upload) => upload.name === name)?.uploadId ?? '')
      }
      if (isNode(kept)) {
        context.about({ type: 'transfer', id: kept.id, name: kept.request.node.name })
        const uploadId = uploads.find(({ name }) => name === 'disk')?.uploadId ?? ''
        return { operation: await lab.nodes.receive(kept, uploadId, actor, rightsOf(context)) }
      }
      const request = imageOf(kept.request)
      context.about({ type: 'transfer', id: kept.id, name: request.image.id })
      const { operation } = await importImage(imagesOf(services), importOf(services, request, uploads, kept.id), actor)
      return { operation }
    },
  }),
  route({
    method: 'delete',
    path: '/api/transfers/{id}',
    tag: 'Transfers',
    summary: 'Forget a transfer and what has been uploaded of it',
    access: 'node.transfer',
    params,
    answer: { status: 204 },
    errors: ['not_found'],
    audit: 'transfer.cancel',
    async handle(context) {
      const { services, subject, params } = context
      context.about({ type: 'transfer', id: params.id })
      const { layout } = services.config
      const kept = await requireTransfer(layout, params.id, subject.userId)
      const { uploads } = labOf(services)
      for (const { uploadId } of await uploads.ofTransfer(kept.id, subject.userId)) await uploads.discard(uploadId)
      await forgetTransfer(layout, kept.id)
    },
  }),
]

const isNode = (kept: KeptTransfer): kept is KeptTransfer & { request: NodeTransfer } => kept.request.kind === 'node'

const actorOf = ({ subject, asked }: Pick<Context, 'subject' | 'asked'>): Actor => ({
  id: subject.userId,
  login: subject.login,
  request: asked,
})

const rightsOf = ({ services, subject }: Pick<Context, 'services' | 'subject'>) => ({
  internet: authorize(subject, 'node.allowInternet', ownedBy(services, subject.userId)),
})

/** The commit of the same transfer, under way or done: the sender has lost its answer. */
function committedOf({ services, subject }: Pick<Context, 'services' | 'subject'>, id: string): Operation | undefined {
  return labOf(services).transactions.earlier({ id: subject.userId, request: { key: id, hash: id } })?.operation
}

/** Before a byte is sent: names, quota, room. */
async function refuseEarly(context: Context<BeginTransfer>, kept: KeptTransfer): Promise<void> {
  const { services } = context
  if (isNode(kept)) {
    const { refusal } = await labOf(services).nodes.planReceive(kept, actorOf(context), rightsOf(context))
    if (refusal) throw refusal
    return
  }
  const { request } = kept
  if (request.kind === 'image') refuseTaken(labOf(services).store.data, request.image.id)
  await requireSpace({ path: services.config.layout.images, bytes: roomOf(request), what: 'receive this image' })
}

/** The uploads that go on; what was begun of other bytes goes. Throws `key_reused`. */
async function takenUp(services: Services, kept: KeptTransfer): Promise<TransferUpload[]> {
  const { uploads } = labOf(services)
  const before = await findTransfer(services.config.layout, kept.id, kept.ownerId)
  if (!before) return []
  if (
    before.request.kind === 'node' &&
    kept.request.kind === 'node' &&
    before.request.node.name !== kept.request.node.name
  ) {
    throw new SandlabError('key_reused', `This key came with another node before, ${before.request.node.name}.`, {
      hint: 'Use a new key for each new transfer; the same only to go on with the very same one.',
    })
  }
  const wanted = filesOfTransfer(kept.request)
  const had = filesOfTransfer(before.request)
  const found = await uploads.ofTransfer(kept.id, kept.ownerId)
  const going = found.filter(({ name }) => {
    const sha256 = wanted.find((file) => file.name === name)?.sha256
    return sha256 === undefined || sha256 !== had.find((file) => file.name === name)?.sha256
  })
  for (const { uploadId } of going) await uploads.discard(uploadId)
  return found.filter((upload) => !going.includes(upload))
}

function viewOf(kept: KeptTransfer, uploads: readonly TransferUpload[]): Transfer {
  return {
    id: kept.id,
    files: filesOfTransfer(kept.request).map(({ name, sizeBytes }) => {
      const upload = uploads.find((one) => one.name === name)
      return { name, sizeBytes, uploadId: upload?.uploadId ?? null, offset: upload?.offset ?? 0 }
    }),
    operationId: null,
  }
}

/** An image that was sent is made as an uploaded one is: looked at, converted anew, published. */
function importOf(
  { config }: Services,
  request: ImageTransfer,
  uploads: readonly TransferUpload[],
  transferId: string,
): ImportRequest {
  const { layout } = config
  const { image, ...files } = request
  const pathOf = (name: string) =>
    `${uploadsDir(layout)}/${basename(uploads.find((upload) => upload.name === name)?.uploadId ?? 'nothing')}`
  const { commandLine, ...about } = image
  return {
    source: { path: pathOf('disk'), consume: true },
    about: {
      ...about,
      origin: 'uploaded',
      sourceSha256: files.disk.sha256,
      directBoot: files.kernel && {
        kernelPath: pathOf('kernel'),
        initrdPath: files.initrd && pathOf('initrd'),
        commandLine: commandLine ?? '',
      },
    },
    checksums: filesOfTransfer(request).map(({ name, sha256 }) => ({ path: pathOf(name), sha256 })),
    discards: [
      ...(files.kernel ? [pathOf('kernel')] : []),
      ...(files.initrd ? [pathOf('initrd')] : []),
      transferFile(layout, transferId),
    ],
  }
}

function planImage(services: Services, request: ImageTransfer) {
  const { id, title } = request.image
  const images = imagesOf(services)
  const making = async () => {
    refuseTaken(images.store.data, id)
    return { imageId: id, folder: '', consumes: null, spaceBytes: roomOf(request) }
  }
  const steps = ['Take in the uploads', 'Compare their checksums', 'Convert the disk to a clean copy', 'Publish it']
  return planMaking(images, making, { kind: 'image.import', title: `Receive ${title}`, imageId: id, steps })
}

/** Of the uploads and of what they become, in bytes. */
function roomOf(request: BeginTransfer): number {
  return filesOfTransfer(request).reduce((sum, { sizeBytes }) => sum + 2 * sizeBytes, 0)
}

function imageOf(request: BeginTransfer): ImageTransfer {
  if (request.kind === 'image') return request
  throw new Error('this transfer is of no image')
}
