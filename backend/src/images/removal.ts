import type { Stats } from 'node:fs'
import { lstat, unlink } from 'node:fs/promises'
import { z } from 'zod'
import { isSandlabError, SandlabError } from '../domain/error.js'
import { imageIdSchema, type ImageId } from '../domain/ids.js'
import type { Image } from '../domain/image.js'
import { imageFile, type Layout } from '../domain/layout.js'
import type { OperationPlan } from '../domain/plan.js'
import type { LabState } from '../domain/state.js'
import { removeImageSidecar } from '../storage/image-sidecars.js'
import { errnoOf, fsyncDirectory, storageFailure } from '../system/durable-file.js'
import type { Procedure } from '../transactions/procedure.js'
import type { ImageActor, ImagesContext } from './context.js'
import { namesOfImage } from './image-record.js'
import { claiming } from './import-steps.js'
import { refusalOf } from './making.js'

const intentSchema = z.object({
  imageId: imageIdSchema,
  /** Its files as they were: another image may have taken the names by the time they go. */
  files: z.array(z.object({ name: z.string(), ino: z.number(), dev: z.number(), bytes: z.number() })),
})
type RemovalIntent = z.infer<typeof intentSchema>

/**
 * Removes an image that nothing uses; only forward. The record goes first, durably: a kill leaves files that the next
 * start removes, never a record without files.
 */
export function imageDeleteProcedure(context: ImagesContext): Procedure<RemovalIntent> {
  const { layout } = context
  return {
    kind: 'image.delete',
    intent: intentSchema,
    resources: ({ imageId, files }) => [
      { type: 'record', id: imageId },
      ...files.map(({ name }) => ({ type: 'image' as const, id: `/images/${name}` })),
    ],
    around: ({ imageId }, work) => claiming(layout, imageId, work),
    steps: [],
    commit(draft, { imageId }) {
      deletable(draft, imageId)
      draft.images = draft.images.filter(({ id }) => id !== imageId)
    },
    after: [
      {
        title: 'Removing its files',
        async do({ imageId, files }) {
          context.bus.publish('images', imageId, null)
          await removeFiles(layout, imageId, files).catch((error: unknown) => {
            throw storageFailure(`remove the files of ${imageId}, which is no longer listed`, error)
          })
        },
      },
    ],
  }
}

/**
 * Throws `not_found`, `busy`, `image_in_use` naming what stands on it. `state_io`: it is no longer an image, but its
 * files are still there; the next start removes them.
 */
export async function deleteImage(context: ImagesContext, id: string, actor: ImageActor): Promise<void> {
  const image = deletable(context.store.data, id)
  const { result } = context.transactions.run(
    imageDeleteProcedure(context),
    { imageId: image.id, files: await filesOf(context.layout, image) },
    { title: `Delete ${image.title}`, actor, target: { type: 'image', id: image.id }, cancellable: false },
  )
  await result
}

/** What deleting it would free, and whether it would be refused. Throws `not_found`. */
export async function planImageDelete({ layout, store }: ImagesContext, id: string): Promise<OperationPlan> {
  const image = known(store.data, id)
  const files = await filesOf(layout, image)
  return {
    kind: 'image.delete',
    title: `Delete ${image.title}`,
    steps: ['Take it from the list', 'Remove its files'],
    space: [],
    creates: [],
    replaces: [
      {
        type: 'image',
        id: image.id,
        name: image.title,
        bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
        fate: 'is removed for good',
      },
    ],
    files: [],
    warnings: image.origin === 'uploaded' ? ['It was uploaded: it can only be had back from its file.'] : [],
    refusal: refusalOf(refusalToDelete(store.data, id)),
  }
}

function refusalToDelete(state: Readonly<LabState>, id: string): SandlabError | null {
  try {
    deletable(state, id)
    return null
  } catch (error) {
    if (isSandlabError(error)) return error
    throw error
  }
}

function known(state: Readonly<LabState>, id: string): Image {
  const found = state.images.find((image) => image.id === id)
  if (!found) throw new SandlabError('not_found', `There is no image ${id}.`)
  return found
}

/** Never returned out of a change: there it is a draft. */
function deletable(state: Readonly<LabState>, id: string): Image {
  const image = known(state, id)
  refuseInUse(state, image)
  return image
}

/** Full copies need no base, but its kernel, its firmware and what it says about signing in. */
function refuseInUse(state: Readonly<LabState>, image: Image): void {
  const nodes = state.nodes.filter(({ imageId }) => imageId === image.id)
  const layers = state.layers.filter(({ imageId }) => imageId === image.id)
  const { snapshots } = state
  if (nodes.length + layers.length === 0) return
  const names = [
    ...nodes.map(({ name }) => name),
    ...layers.map(
      ({ id }) =>
        `the layer ${snapshots.find((one) => one.disks.some((disk) => disk.layerId === id))?.name ?? id.slice(0, 8)}`,
    ),
  ]
  const more = names.length > 10 ? ` and ${names.length - 10} more` : ''
  throw new SandlabError('image_in_use', `The image ${image.id} is used by ${names.slice(0, 10).join(', ')}${more}.`, {
    hint: 'Their disks hold only what differs from it. Delete these nodes first.',
    details: { nodes: nodes.map(({ id, name }) => ({ id, name })) },
  })
}

/** Those that are there. */
async function filesOf(layout: Layout, image: Image): Promise<RemovalIntent['files']> {
  const found = await Promise.all(
    [image.file, ...Object.keys(image.bootFiles)].map(async (name) => {
      const stats = await lookAt(imageFile(layout, name))
      return stats ? [{ name, ino: stats.ino, dev: stats.dev, bytes: stats.blocks * 512 }] : []
    }),
  )
  return found.flat()
}

/** The sidecar first: a rebuilt state must not list an image whose files are gone. The disk last: it tells whose it is. */
async function removeFiles(layout: Layout, imageId: ImageId, files: RemovalIntent['files']): Promise<void> {
  const [disk] = namesOfImage(imageId)
  const kept = await lookAt(imageFile(layout, disk))
  if (!kept || files.some((file) => file.name === disk && isSame(file, kept))) {
    await removeImageSidecar(layout, imageId)
  }
  for (const file of files.toReversed()) {
    const now = await lookAt(imageFile(layout, file.name))
    if (now && isSame(file, now)) await unlink(imageFile(layout, file.name))
  }
  await fsyncDirectory(layout.images)
}

function isSame(file: RemovalIntent['files'][number], now: Stats): boolean {
  return now.ino === file.ino && now.dev === file.dev
}

async function lookAt(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
