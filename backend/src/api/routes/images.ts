import { basename, resolve, sep } from 'node:path'
import { realpath } from 'node:fs/promises'
import { z } from 'zod'
import { SandlabError } from '../../domain/error.js'
import { imageIdSchema } from '../../domain/ids.js'
import { catalogEntrySchema, FIRMWARES, imageViewSchema, recipeSchema } from '../../domain/image.js'
import { operationSchema } from '../../domain/operation.js'
import type { Subject } from '../../domain/user.js'
import { buildImage, planBuild, RECIPES } from '../../images/build.js'
import { readCatalog } from '../../images/catalog.js'
import type { ImageActor, ImagesContext, StartedImage } from '../../images/context.js'
import { importImage, planImport, type ImportRequest } from '../../images/import-room.js'
import { planPull, pullImage } from '../../images/pull.js'
import { deleteImage, planImageDelete } from '../../images/removal.js'
import { route, type RouteContext } from '../route.js'
import { labOf, type Services } from '../services.js'

const started = { status: 202, schema: z.object({ operation: operationSchema }) } as const
const aboutFields = {
  id: imageIdSchema,
  title: z.string().trim().min(1).max(120).optional(),
  description: z.string().max(2000).default(''),
  firmware: z.enum(FIRMWARES).default('bios'),
  cloudInit: z.boolean().default(false),
  loginNotes: z.string().max(500).default(''),
  minimumMemoryMib: z.int().min(64).max(1_048_576).default(512),
}
const aboutSchema = z.strictObject(aboutFields)

export const imageRoutes = [
  route({
    method: 'get',
    path: '/api/images',
    tag: 'Images',
    summary: 'Base images, what can be built here, and the catalogue',
    access: 'image.list',
    answer: {
      status: 200,
      schema: z.object({
        images: z.array(imageViewSchema),
        recipes: z.array(recipeSchema),
        catalog: z.array(catalogEntrySchema),
      }),
    },
    async handle({ services, subject }) {
      const { store } = labOf(services)
      const mayManage = subject.role !== 'student'
      const images = store.data.images.map((image) => ({
        ...image,
        // A student must not learn the names of other people's nodes.
        usedBy: mayManage
          ? store.data.nodes.filter((node) => node.imageId === image.id).map(({ id, name }) => ({ id, name }))
          : [],
      }))
      return { images, recipes: RECIPES, catalog: await readCatalog(services.config.layout) }
    },
  }),
  route({
    method: 'post',
    path: '/api/images/build',
    tag: 'Images',
    summary: 'Build a starter image from Debian packages',
    access: 'image.manage',
    body: z.strictObject({ recipe: imageIdSchema }),
    answer: started,
    errors: ['not_found', 'image_exists'],
    audit: 'image.build',
    plan: ({ services, body }) => planBuild(imagesOf(services), body.recipe),
    async handle(context) {
      const { services, body } = context
      context.about({ type: 'image', id: body.recipe })
      return begun(await buildImage(imagesOf(services), body.recipe, actorOf(context)))
    },
  }),
  route({
    method: 'post',
    path: '/api/images/pull',
    tag: 'Images',
    summary: 'Download an image of the catalogue',
    access: 'image.manage',
    body: z.strictObject({ id: imageIdSchema }),
    answer: started,
    errors: ['not_found', 'image_exists'],
    audit: 'image.pull',
    plan: ({ services, body }) => planPull(imagesOf(services), body.id),
    async handle(context) {
      const { services, body } = context
      context.about({ type: 'image', id: body.id })
      return begun(await pullImage(imagesOf(services), body.id, actorOf(context)))
    },
  }),
  route({
    method: 'post',
    path: '/api/images/import',
    tag: 'Images',
    summary: 'Import a qcow2 or raw file that lies on the server',
    access: 'settings.manage',
    body: z.strictObject({ ...aboutFields, path: z.string().min(1).max(4096) }),
    answer: started,
    errors: ['not_found', 'image_exists', 'image_refused', 'not_allowed'],
    audit: 'image.import',
    plan: async (context) => planImport(imagesOf(context.services), await fromServer(context)),
    async handle(context) {
      const { services, body } = context
      context.about({ type: 'image', id: body.id, details: { path: body.path } })
      return begun(await importImage(imagesOf(services), await fromServer(context), actorOf(context)))
    },
  }),
  route({
    method: 'post',
    path: '/api/images/import-upload',
    tag: 'Images',
    summary: 'Make an image of a finished upload',
    access: 'image.manage',
    body: z.strictObject({ ...aboutFields, uploadId: z.string().min(1).max(100) }),
    answer: started,
    errors: ['not_found', 'image_exists', 'image_refused'],
    audit: 'image.import',
    plan: async (context) => planImport(imagesOf(context.services), await fromUpload(context)),
    async handle(context) {
      const { services, body } = context
      context.about({ type: 'image', id: body.id })
      const images = imagesOf(services)
      // A repeated request finds its upload used up.
      const known = images.transactions.earlier(actorOf(context))
      if (known) return { operation: known.operation }
      return begun(await importImage(images, await fromUpload(context), actorOf(context)))
    },
  }),
  route({
    method: 'delete',
    path: '/api/images/{id}',
    tag: 'Images',
    summary: 'Delete an image that no node uses',
    access: 'image.manage',
    params: z.object({ id: imageIdSchema }),
    answer: { status: 204 },
    errors: ['not_found', 'image_in_use'],
    audit: 'image.delete',
    plan: ({ services, params }) => planImageDelete(imagesOf(services), params.id),
    async handle(context) {
      const { services, params } = context
      context.about({ type: 'image', id: params.id })
      await deleteImage(imagesOf(services), params.id, actorOf(context))
    },
  }),
]

export function imagesOf(services: Services): ImagesContext {
  const { store, transactions } = labOf(services)
  const { bus, log } = services
  return { layout: services.config.layout, store, transactions, bus, log, now: () => new Date() }
}

const actorOf = ({
  subject,
  asked,
}: Pick<RouteContext<unknown, unknown, unknown>, 'subject' | 'asked'>): ImageActor => ({
  id: subject.userId,
  login: subject.login,
  request: asked,
})

const begun = ({ operation }: StartedImage) => ({ operation })

type About = z.infer<typeof aboutSchema>

async function fromServer({
  services,
  subject,
  body,
}: Pick<
  RouteContext<unknown, unknown, About & { path: string }>,
  'services' | 'subject' | 'body'
>): Promise<ImportRequest> {
  const path = await allowedPath(services, subject, body.path)
  return importOf({ ...body, title: body.title ?? basename(path) }, 'imported', path)
}

/** Success and refusal use it up; after any other failure it can be imported again without another upload. */
async function fromUpload({
  services,
  body,
}: Pick<RouteContext<unknown, unknown, About & { uploadId: string }>, 'services' | 'body'>): Promise<ImportRequest> {
  const path = await labOf(services).uploads.pathOf(body.uploadId)
  return importOf({ ...body, title: body.title ?? body.id }, 'uploaded', path)
}

function importOf(about: About & { title: string }, origin: 'imported' | 'uploaded', path: string): ImportRequest {
  const { id, title, description, firmware, cloudInit, loginNotes, minimumMemoryMib } = about
  return {
    source: { path, consume: origin === 'uploaded' },
    about: {
      id,
      title,
      description,
      origin,
      version: new Date().toISOString().slice(0, 10),
      firmware,
      cloudInit,
      loginNotes,
      minimumMemoryMib,
      directBoot: null,
    },
  }
}

/**
 * Only files in folders that the server's configuration names; the real path counts, not how it is written. Whoever
 * holds the local credential owns this machine's SandLabX and may name any file.
 */
async function allowedPath(services: Services, subject: Subject, path: string): Promise<string> {
  const real = await realpath(resolve(path)).catch((error: unknown) => {
    throw new SandlabError('not_found', `There is no file ${path} on the server.`, { cause: error })
  })
  if (subject.credentialId === 'local') return real
  const folders = await Promise.all(services.config.importFolders.map((folder) => realpath(folder).catch(() => folder)))
  if (folders.some((folder) => real.startsWith(folder + sep))) return real
  throw new SandlabError('not_allowed', `Files may not be imported from ${path}.`, {
    hint: 'Upload it, or start SandLabX with SANDLABX_IMPORT_FOLDERS naming its folder.',
  })
}
