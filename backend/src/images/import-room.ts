import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bus } from '../events/bus.js'
import { isSandlabError, SandlabError } from '../domain/error.js'
import type { ImageId } from '../domain/ids.js'
import type { Image } from '../domain/image.js'
import { imageFile, type Layout } from '../domain/layout.js'
import type { NodeRecord } from '../domain/node.js'
import type { LabState } from '../domain/state.js'
import type { Store } from '../state/store.js'
import { removeImageSidecar, writeImageSidecar } from '../storage/image-sidecars.js'
import { errnoOf, storageFailure } from '../system/durable-file.js'
import { workerIdentity } from '../system/identity.js'
import type { Logger } from '../system/log.js'
import type { OperationHandle } from '../transactions/operations.js'
import { transaction } from '../transactions/transaction.js'
import { convertToBase } from './conversion.js'
import { throwIfCancelled } from './file-blocks.js'
import type { CheckedDisk } from './header-check.js'
import { initrdName, kernelName, parseAbout, recordOf, type ImageAbout } from './image-record.js'
import { DEFAULT_LIMITS, type ImageLimits } from './image-limits.js'
import { SOURCE_NAME, takeIn } from './intake.js'
import { addPublishedNames, namesOf } from './intent.js'
import { finishBootFile, finishImage, imageExists, openOutbox, publish, type Finished } from './publication.js'
import { newStagingFolder } from './staging.js'

export interface ImportRequest {
  layout: Layout
  store: Store
  log: Logger
  /**
   * `consume`: the file is used up. It is gone after success and after a refusal, and in its place again after any other
   * failure. Otherwise it is only read.
   */
  source: { path: string; consume: boolean }
  about: ImageAbout
  op: OperationHandle
  bus?: Bus
  limits?: ImageLimits
  now?: () => Date
}

/** Ids that an import of this process is working on, by folder: the slower of two would lose its work at the end. */
const claimed = new Set<string>()

/**
 * The only way a file becomes a base image. Checks it with our own eyes, has it converted to a fresh qcow2, and publishes
 * that under `images/<id>.qcow2`, read-only, with its record; the durable record is the commit.
 *
 * Throws `image_refused`, `image_exists`, `busy`, `no_space`, `too_large`, `cancelled`, `not_found`; then nothing is left
 * behind, and `source` is as described there.
 */
export async function importImage(request: ImportRequest): Promise<Image> {
  const { layout, store, op } = request
  const id = parseAbout(request.about)
  refuseTaken(store, id)
  const release = claim(layout, id)
  try {
    return await importIntoFolder(request, id, await newStagingFolder(layout, op.id))
  } finally {
    release()
  }
}

async function importIntoFolder(request: ImportRequest, id: ImageId, folder: string): Promise<Image> {
  const { source, log } = request
  try {
    const image = await transaction((undo) => makeImage(request, id, folder, undo), { log })
    request.bus?.publish('images', image.id, image)
    log.info({ imageId: image.id, sha256: image.fingerprint.sha256 }, 'base image published')
    if (source.consume) await removeQuietly(source.path, log)
    return image
  } catch (error) {
    if (source.consume && isSandlabError(error, 'image_refused')) await removeQuietly(source.path, log)
    throw error
  } finally {
    await removeQuietly(folder, log)
  }
}

type Undo = (step: () => Promise<void>) => void

/** The steps, in order; what each made is undone when a later one fails. The last one is the commit. */
async function makeImage(request: ImportRequest, id: ImageId, folder: string, undo: Undo): Promise<Image> {
  const { layout, store, op } = request
  const limits = request.limits ?? DEFAULT_LIMITS
  const checked = await takeIn({ source: request.source, folder, imageId: id, limits, op }, undo)
  const converted = await convert(request, folder, checked, limits)
  const boot = await finishBootFiles(request, folder, limits)
  throwIfCancelled(op.signal)
  op.step('Publishing', 0.99)
  const image = recordOf(request.about, id, converted, boot, checked, request.now?.() ?? new Date())
  await publishAll(layout, image, { ...boot, [image.file]: converted }, folder, undo)
  undo(() => removeImageSidecar(layout, image.id))
  await writeImageSidecar(layout, image)
  await store.change((draft) => {
    if (draft.images.some((one) => one.id === image.id)) throw imageExists(image.id)
    draft.images.push(image)
  })
  return image
}

async function publishAll(
  layout: Layout,
  image: Image,
  files: Record<string, Finished>,
  folder: string,
  undo: Undo,
): Promise<void> {
  const targets = Object.entries(files).map(([name, finished]) => ({ path: imageFile(layout, name), finished }))
  await addPublishedNames(
    folder,
    image.id,
    targets.map(({ path, finished: { stats } }) => ({ path, ino: stats.ino, dev: stats.dev })),
  )
  for (const { path, finished } of targets) await publish(finished, path, image.id, undo)
}

/** What can't be removed is swept at the next start; it must not turn a success into a failure. */
async function removeQuietly(path: string, log: Logger): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch((error: unknown) => {
    log.warn({ err: error, path }, 'left-overs of an import could not be removed')
  })
}

async function convert(
  request: ImportRequest,
  folder: string,
  checked: CheckedDisk,
  limits: ImageLimits,
): Promise<Finished> {
  const { op } = request
  const identity = workerIdentity()
  const output = await openOutbox(folder, identity)
  op.step('Converting to a clean copy', 0.1)
  await convertToBase({
    folder,
    source: SOURCE_NAME,
    target: output,
    checked,
    limits,
    identity,
    trusted: request.about.trusted === true,
    signal: op.signal,
    onProgress: (done) => op.step('Converting to a clean copy', 0.1 + 0.7 * done),
  })
  op.step('Computing the checksum', 0.8)
  return finishImage(folder, output, checked, limits, {
    signal: op.signal,
    onBytes: (done) => op.bytes(done, null),
  })
}

async function finishBootFiles(
  request: ImportRequest,
  folder: string,
  limits: ImageLimits,
): Promise<Record<string, Finished>> {
  const { directBoot, id } = request.about
  if (!directBoot) return {}
  const wanted: [string, string | null][] = [
    [kernelName(id), directBoot.kernelPath],
    [initrdName(id), directBoot.initrdPath],
  ]
  const finished: Record<string, Finished> = {}
  for (const [name, path] of wanted) {
    if (path === null) continue
    finished[name] = await finishBootFile(folder, name, path, limits.maxBootFileBytes, { signal: request.op.signal })
  }
  return finished
}

function refuseTaken(store: Store, id: string): void {
  if (store.data.images.some((image) => image.id === id)) throw imageExists(id)
}

function claim(layout: Layout, id: string): () => void {
  const key = join(layout.images, id)
  if (claimed.has(key)) throw new SandlabError('busy', `The image ${id} is being made already.`)
  claimed.add(key)
  return () => claimed.delete(key)
}

/**
 * Removes an image that no node uses, first its record, which is the commit, then its files, all or none.
 *
 * Throws `not_found`, `image_in_use` naming the nodes; `state_io` when the files stay, then the record does, too.
 */
export async function deleteImage(request: { layout: Layout; store: Store; id: string }): Promise<void> {
  const { layout, store, id } = request
  const image = deletable(store.data, id)
  const files = [image.file, ...Object.keys(image.bootFiles)]
  const folder = await newStagingFolder(layout, `deleted-${image.id}`)
  try {
    await addPublishedNames(folder, image.id, await namesOf(files.map((name) => imageFile(layout, name))))
    await store.change((draft) => {
      deletable(draft, id)
      draft.images = draft.images.filter((one) => one.id !== id)
    })
    await removeFiles(request, image, files, folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Never returned out of a change: there it is a draft. */
function deletable(state: Readonly<LabState>, id: string): Image {
  const found = state.images.find((one) => one.id === id)
  if (!found) throw new SandlabError('not_found', `There is no image ${id}.`)
  refuseInUse(found, state.nodes)
  return found
}

/** Into our folder, which is then removed whole; when one can't be moved, all return, and so does the record. */
async function removeFiles(
  { layout, store }: { layout: Layout; store: Store },
  image: Image,
  files: string[],
  folder: string,
): Promise<void> {
  try {
    await transaction(async (undo) => {
      undo(() => writeImageSidecar(layout, image))
      await removeImageSidecar(layout, image.id)
      for (const name of files) {
        undo(() => renameIfThere(join(folder, name), imageFile(layout, name)))
        await renameIfThere(imageFile(layout, name), join(folder, name))
      }
    })
  } catch (error) {
    await store.change((draft) => void draft.images.push(image))
    throw storageFailure(`remove the files of the image ${image.id}`, error)
  }
}

function refuseInUse(image: Image, nodes: readonly NodeRecord[]): void {
  const users = nodes.filter((node) => node.imageId === image.id)
  if (users.length === 0) return
  const names = users.slice(0, 10).map((node) => node.name)
  const more = users.length > names.length ? ` and ${users.length - names.length} more` : ''
  throw new SandlabError('image_in_use', `The image ${image.id} is used by ${names.join(', ')}${more}.`, {
    hint: 'Their disks hold only what differs from it. Delete these nodes first.',
    details: { nodes: users.map(({ id, name }) => ({ id, name })) },
  })
}

/** A file that is missing already needs no removing. */
async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}
