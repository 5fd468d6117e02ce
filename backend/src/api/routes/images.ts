import { basename, resolve, sep } from 'node:path'
import { realpath } from 'node:fs/promises'
import { z } from 'zod'
import { SandlabError } from '../../domain/error.js'
import { imageIdSchema } from '../../domain/ids.js'
import { catalogEntrySchema, FIRMWARES, imageViewSchema, recipeSchema, type Image } from '../../domain/image.js'
import { operationSchema, type OperationKind } from '../../domain/operation.js'
import type { Subject } from '../../domain/user.js'
import { buildImage, RECIPES } from '../../images/build.js'
import { readCatalog } from '../../images/catalog.js'
import { deleteImage, importImage } from '../../images/import-room.js'
import { pullImage } from '../../images/pull.js'
import type { OperationHandle } from '../../transactions/operations.js'
import { route } from '../route.js'
import { labOf, type Lab, type Services } from '../services.js'

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
    async handle(context) {
      const { services, subject, body } = context
      context.about({ type: 'image', id: body.recipe })
      const recipe = RECIPES.find((one) => one.id === body.recipe)
      if (!recipe) throw new SandlabError('not_found', `There is no recipe ${body.recipe}.`)
      return startImageWork(services, subject, 'image.build', `Build ${recipe.title}`, body.recipe, (lab, op) =>
        buildImage({ layout: services.config.layout, store: lab.store, log: services.log, recipeId: recipe.id, op }),
      )
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
    async handle(context) {
      const { services, subject, body } = context
      context.about({ type: 'image', id: body.id })
      const entry = (await readCatalog(services.config.layout)).find((one) => one.id === body.id)
      if (!entry) throw new SandlabError('not_found', `The catalogue has no image ${body.id}.`)
      return startImageWork(services, subject, 'image.pull', `Download ${entry.title}`, body.id, (lab, op) =>
        pullImage({ layout: services.config.layout, store: lab.store, log: services.log, id: body.id, op }),
      )
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
    async handle(context) {
      const { services, subject, body } = context
      context.about({ type: 'image', id: body.id, details: { path: body.path } })
      const path = await allowedPath(services, subject, body.path)
      return startImport(services, subject, { ...body, title: body.title ?? basename(path) }, 'imported', path)
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
    async handle(context) {
      const { services, subject, body } = context
      context.about({ type: 'image', id: body.id })
      const path = await labOf(services).uploads.pathOf(body.uploadId)
      // Success and refusal use it up; after any other failure it can be imported again without another upload.
      return startImport(services, subject, { ...body, title: body.title ?? body.id }, 'uploaded', path)
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
    async handle(context) {
      const { services, params } = context
      context.about({ type: 'image', id: params.id })
      await deleteImage({ layout: services.config.layout, store: labOf(services).store, id: params.id })
      services.bus.publish('images', params.id, null)
    },
  }),
]

/** An image id is claimed for the whole work, so that two builds of one image can't run beside each other. */
function startImageWork(
  services: Services,
  subject: Subject,
  kind: OperationKind,
  title: string,
  imageId: string,
  work: (lab: Lab, op: OperationHandle) => Promise<Image>,
) {
  const lab = labOf(services)
  if (lab.store.data.images.some((image) => image.id === imageId)) {
    throw new SandlabError('image_exists', `An image ${imageId} exists already.`, {
      hint: 'A base image is never replaced; choose another id, or delete it first.',
    })
  }
  const same = lab.operations.list().find((op) => op.state === 'running' && op.target?.id === imageId)
  if (same) {
    throw new SandlabError('busy', `${same.title} is under way already.`, {
      hint: 'Its progress is in the task drawer.',
      details: { operationId: same.id },
    })
  }
  const { operation, result } = lab.operations.start(
    {
      kind,
      title,
      actor: { id: subject.userId, login: subject.login },
      target: { type: 'image', id: imageId },
      cancellable: true,
    },
    (op) => work(lab, op),
  )
  void result.then(
    (image) => services.bus.publish('images', image.id, image),
    () => undefined, // the operation itself carries the failure
  )
  return { operation }
}

function startImport(
  services: Services,
  subject: Subject,
  about: z.infer<typeof aboutSchema> & { title: string },
  origin: 'imported' | 'uploaded',
  path: string,
) {
  const { id, title, description, firmware, cloudInit, loginNotes, minimumMemoryMib } = about
  return startImageWork(services, subject, 'image.import', `Import ${title}`, id, (lab, op) =>
    importImage({
      layout: services.config.layout,
      store: lab.store,
      log: services.log,
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
      op,
    }),
  )
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
