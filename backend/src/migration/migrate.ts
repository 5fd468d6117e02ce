import { rm, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { imageIdSchema } from '../domain/ids.js'
import type { Fingerprint, Image } from '../domain/image.js'
import { imageFile, overlayFile, sidecarFile, type Layout } from '../domain/layout.js'
import { nodeRecordSchema, type NodeRecord } from '../domain/node.js'
import type { LabState } from '../domain/state.js'
import { convertToBase } from '../images/conversion.js'
import type { ImagesContext } from '../images/context.js'
import { DEFAULT_LIMITS } from '../images/image-limits.js'
import { imageAboutSchema, imageFileName, recordOf } from '../images/image-record.js'
import { refuseTaken } from '../images/import-steps.js'
import { SOURCE_NAME, takeIn } from '../images/intake.js'
import { portionOf } from '../images/progress.js'
import { finishImage, openOutbox, publish, unpublish } from '../images/publication.js'
import { makeStagingFolder, removeStagingFolder, stagingFolder } from '../images/staging.js'
import { writeImageSidecar } from '../storage/image-sidecars.js'
import { backingNameOf, inspectOverlay } from '../storage/overlays.js'
import { writeSidecar } from '../storage/sidecars.js'
import { reserveSpace } from '../storage/space.js'
import { errnoOf, fsyncDirectory } from '../system/durable-file.js'
import { workerIdentity } from '../system/identity.js'
import { writeQcow2Overlay } from '../system/qcow2-overlay.js'
import type { BulkHandle } from '../transactions/operation-handle.js'
import type { Procedure } from '../transactions/procedure.js'
import {
  asideFile,
  bringBack,
  copyOldDisk,
  isPublished,
  makeDiskFolder,
  publishDisk,
  removeDiskFolder,
  requireEqual,
  requireSoundDisk,
  setAside,
  stagedDisk,
} from './disk-copies.js'

const incomingImageSchema = z.object({
  imageId: imageIdSchema,
  /** Of its own in `images/.staging`. */
  folder: z.uuid(),
  path: z.string(),
  about: imageAboutSchema,
})
const incomingNodeSchema = z.object({
  /** `base` is filled in when its image is here. */
  record: nodeRecordSchema,
  /** Null: it never ran. */
  disk: z.object({ path: z.string(), sizeBytes: z.number(), mtimeMs: z.number() }).nullable(),
  /** The old file that its disk stands on. */
  oldBase: z.string().nullable(),
  inPlace: z.boolean(),
})
const intentSchema = z.object({
  /** Names all that it stages. */
  folder: z.uuid(),
  images: z.array(incomingImageSchema),
  nodes: z.array(incomingNodeSchema),
  needBytes: z.number(),
})
export type MigrateIntent = z.infer<typeof intentSchema>
type IncomingImage = MigrateIntent['images'][number]
type IncomingNode = MigrateIntent['nodes'][number]

export type MigrateContext = Pick<ImagesContext, 'layout' | 'store' | 'bus' | 'log' | 'now'>

/**
 * All of an old installation at once: base images through the import room, disks copied and compared, then their names
 * and records; the durable records are the commit. Old disks are only read; one that lies under the name of the new one
 * waits beside (`overlays/.migrated/`). A failure before the commit takes everything back.
 */
export function migrateProcedure(context: MigrateContext): Procedure<MigrateIntent> {
  const { layout, store } = context
  const made = new Map<string, Image>()
  const recordsOf = (intent: MigrateIntent) => completed(intent, [...store.data.images, ...made.values()])
  return {
    kind: 'lab.migrate',
    intent: intentSchema,
    resources: ({ images, nodes }) => [
      ...images.map(({ imageId }) => ({ type: 'image' as const, id: `/images/${imageFileName(imageId)}` })),
      ...nodes.map(({ record }) => ({ type: 'disk' as const, id: `/overlays/${record.overlayFile}` })),
    ],
    around: (intent, work) => reserveSpace(needsOf(layout, intent), 'bring the old nodes in', work),
    steps: [
      {
        title: 'Bringing in the base images',
        do: (intent, op) =>
          eachOf(intent.images, op, async (image, part) => {
            made.set(image.imageId, await bringImage(context, image, part))
          }),
        undo: async ({ images }) => {
          for (const { folder, imageId } of images) {
            await unpublish(layout, stagingFolder(layout, folder), [imageFileName(imageId)], imageId)
            await removeStagingFolder(layout, folder)
          }
        },
      },
      {
        title: 'Copying the disks and comparing them',
        do: async (intent, op) => {
          await makeDiskFolder(layout, intent.folder)
          await eachOf(intent.nodes, op, async (node, part) => {
            part.step(`Disk of ${node.record.name}`, 0)
            await bringDisk(context, intent, node, imageOf(made, store.data, node), op.signal)
          })
        },
        undo: ({ folder }) => removeDiskFolder(layout, folder),
      },
      {
        title: 'Giving the disks their names',
        do: (intent) => publishAll(layout, intent, recordsOf(intent)),
        undo: (intent) => unpublishAll(layout, intent),
      },
      {
        title: 'Verifying what came over',
        do: (intent, op) => verifyAll(context, intent, recordsOf(intent), [...store.data.images, ...made.values()], op),
      },
    ],
    commit(draft, intent) {
      for (const image of made.values()) refuseTaken(draft, image.id)
      const records = recordsOf(intent)
      for (const { id, name } of records) {
        if (draft.nodes.some((node) => node.id === id)) throw new SandlabError('name_taken', `${name} is here already.`)
      }
      draft.images.push(...made.values())
      draft.nodes.push(...records)
    },
    after: [
      {
        title: 'Tidying up',
        async do({ folder, images }) {
          await removeDiskFolder(layout, folder)
          for (const image of images) await removeStagingFolder(layout, image.folder)
        },
      },
    ],
  }
}

function needsOf(layout: Layout, { images, needBytes }: MigrateIntent) {
  return [{ path: images.length > 0 ? layout.images : layout.overlays, bytes: needBytes }]
}

/** One after the other, each with its part of the progress. */
async function eachOf<T>(
  items: readonly T[],
  op: BulkHandle,
  work: (item: T, part: ReturnType<typeof portionOf>) => Promise<void>,
) {
  for (const [index, item] of items.entries()) {
    op.signal.throwIfAborted()
    await work(item, portionOf(op, index / items.length, (index + 1) / items.length))
  }
}

/** As the import room takes any stranger's file in; then what it reads as is compared with the old file. */
async function bringImage(
  { layout, now }: MigrateContext,
  image: IncomingImage,
  op: ReturnType<typeof portionOf>,
): Promise<Image> {
  const { imageId, path, about } = image
  const folder = stagingFolder(layout, image.folder)
  await makeStagingFolder(layout, image.folder)
  const limits = DEFAULT_LIMITS
  const what = `bring in the base image ${imageId}`
  const source = { path, consume: false }
  const checked = await takeIn({ source, folder, what, reservedBytes: Number.MAX_SAFE_INTEGER, limits, op })
  const identity = workerIdentity()
  const output = await openOutbox(folder, identity)
  await convertToBase({
    folder,
    source: SOURCE_NAME,
    target: output,
    checked,
    limits,
    identity,
    trusted: false,
    signal: op.signal,
    onProgress: (done) => op.step(`Converting ${imageId}`, 0.1 + 0.8 * done),
  })
  const name = imageFileName(imageId)
  const finished = await finishImage(folder, output, name, checked, limits, { signal: op.signal })
  if (checked.format === 'qcow2') await requireEqual([path], [finished.path], path, op.signal)
  await rm(`${folder}/${SOURCE_NAME}`, { force: true }) // the room is needed for the next one
  const record = recordOf(about, imageId, finished, {}, checked, now())
  await publish(layout, folder, [name], imageId)
  await writeImageSidecar(layout, record)
  return record
}

async function bringDisk(
  { layout }: MigrateContext,
  intent: MigrateIntent,
  node: IncomingNode,
  image: Image,
  signal: AbortSignal,
): Promise<void> {
  const { record, disk } = node
  const target = stagedDisk(layout, intent.folder, record.id)
  const stands = record.backing.kind === 'image'
  const name = await backingNameOf(layout, image, { layers: [], base: stands, missing: null })
  if (!disk) {
    const plan = { backingFile: name, virtualSizeBytes: record.diskBytes }
    await writeQcow2Overlay(target, plan, { owner: workerIdentity() })
    return
  }
  await copyOldDisk({
    source: disk.path,
    oldBase: stands ? (node.oldBase ?? imageFile(layout, image.file)) : null,
    target,
    base: name === null ? null : { path: imageFile(layout, image.file), name },
    expected: disk,
    signal,
  })
}

async function publishAll(layout: Layout, intent: MigrateIntent, records: readonly NodeRecord[]): Promise<void> {
  const { folder, nodes } = intent
  for (const { record, inPlace } of nodes) {
    if (inPlace) await setAside(layout, folder, record.id)
    await publishDisk(layout, folder, record.id)
  }
  for (const record of records) await writeSidecar(layout, record)
  await fsyncDirectory(layout.overlays)
}

async function unpublishAll(layout: Layout, { folder, nodes }: MigrateIntent): Promise<void> {
  for (const { record } of nodes.toReversed()) {
    if (await isPublished(layout, folder, record.id)) {
      await rm(sidecarFile(layout, record.id), { force: true })
      await rm(overlayFile(layout, record.id), { force: true })
    }
    await bringBack(layout, folder, record.id)
  }
  await rmdir(dirname(asideFile(layout, folder, ''))).catch(ignoreAbsent)
  await fsyncDirectory(layout.overlays)
}

/** Each new disk as the product looks at it before a start, and as `qemu-img check` does. */
async function verifyAll(
  { layout }: MigrateContext,
  { folder }: MigrateIntent,
  records: readonly NodeRecord[],
  images: readonly Image[],
  op: BulkHandle,
): Promise<void> {
  for (const record of records) {
    op.signal.throwIfAborted()
    const image = images.find(({ id }) => id === record.imageId)
    const chain = { layers: [], base: record.backing.kind === 'image', missing: null }
    const looked = await inspectOverlay(layout, record, image, chain)
    if (!looked.ok) {
      throw new SandlabError('node_broken', `The node ${record.name} would not start here: ${looked.reason}`, {
        hint: 'Nothing came over. Leave it behind with --without NAME, or mend what it says.',
      })
    }
    await requireSoundDisk(stagedDisk(layout, folder, record.id), op.signal)
  }
}

/** Records with the fingerprint of the base image that they stand on now. */
function completed({ nodes }: MigrateIntent, images: readonly Image[]): NodeRecord[] {
  const known = new Map<string, Fingerprint>(images.map(({ id, fingerprint }) => [id, fingerprint]))
  return nodes.map(({ record }) => ({ ...record, base: known.get(record.imageId) ?? record.base }))
}

function imageOf(
  made: ReadonlyMap<string, Image>,
  state: Pick<Readonly<LabState>, 'images'>,
  { record }: IncomingNode,
): Image {
  const image = made.get(record.imageId) ?? state.images.find(({ id }) => id === record.imageId)
  if (image) return image
  throw new SandlabError('not_found', `The base image ${record.imageId} of ${record.name} is gone.`)
}

function ignoreAbsent(error: unknown): void {
  if (errnoOf(error) !== 'ENOENT') throw error
}
