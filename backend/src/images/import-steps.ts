import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { isSandlabError, SandlabError, type ErrorCode } from '../domain/error.js'
import { imageIdSchema, type ImageId } from '../domain/ids.js'
import type { Image } from '../domain/image.js'
import type { Layout } from '../domain/layout.js'
import type { LabState } from '../domain/state.js'
import { writeImageSidecar } from '../storage/image-sidecars.js'
import { reserveSpace } from '../storage/space.js'
import { workerIdentity } from '../system/identity.js'
import type { Logger } from '../system/log.js'
import type { OperationHandle } from '../transactions/operations.js'
import type { Procedure, Step } from '../transactions/procedure.js'
import type { ImagesContext } from './context.js'
import { convertToBase } from './conversion.js'
import type { CheckedDisk } from './header-check.js'
import { DEFAULT_LIMITS, type ImageLimits } from './image-limits.js'
import { initrdName, kernelName, namesOfImage, parseAbout, recordOf, type ImageAbout } from './image-record.js'
import { giveBack, SOURCE_NAME, takeIn } from './intake.js'
import { portionOf } from './progress.js'
import {
  finishBootFile,
  finishImage,
  imageExists,
  openOutbox,
  publish,
  unpublish,
  type Finished,
} from './publication.js'
import { makeStagingFolder, removeStagingFolder, stagingFolder } from './staging.js'

/** What every way to a base image writes down before its first effect; all that it makes is named by it. */
export const makingSchema = z.object({
  imageId: imageIdSchema,
  /** Name of its folder in `images/.staging`. */
  folder: z.uuid(),
  /** A file that is used up: gone after success and refusal, in its place again after any other failure. */
  consumes: z.object({ path: z.string(), mode: z.int() }).nullable(),
  /** Room that it reserves while it runs, in bytes. */
  spaceBytes: z.int().nonnegative(),
})
export type Making = z.infer<typeof makingSchema>

export interface ImportParts<I extends Making> {
  /** The file, and what is said about it; asked when everything before is done. */
  given(intent: I): { path: string; about: ImageAbout }
  /** Removes what is used up, after success and after a refusal. */
  discard(intent: I): Promise<void>
  /** Of the whole operation's progress. */
  share: readonly [number, number]
}

/** What one run finds out on its way; an undo does not need it. */
interface Course {
  about: ImageAbout
  checked: CheckedDisk
  converted: Finished
  boot: Record<string, Finished>
  image: Image
}

/** Ids that an operation of this process makes or removes, by folder: the slower of two would lose its work at the end. */
const claimed = new Set<string>()

/** Alone with its id, and with its room reserved. Throws `busy`, `image_exists`, `no_space`. */
export async function aroundMaking(context: ImagesContext, intent: Making, work: () => Promise<void>): Promise<void> {
  const { layout, store } = context
  await claiming(layout, intent.imageId, async () => {
    refuseTaken(store.data, intent.imageId)
    await reserveSpace([{ path: layout.images, bytes: intent.spaceBytes }], `make the image ${intent.imageId}`, work)
  })
}

/** Throws `busy` while another operation works on this id. */
export async function claiming(layout: Layout, id: ImageId, work: () => Promise<void>): Promise<void> {
  refuseClaimed(layout, id)
  const key = join(layout.images, id)
  claimed.add(key)
  try {
    await work()
  } finally {
    claimed.delete(key)
  }
}

/** Throws `busy`. */
export function refuseClaimed(layout: Layout, id: ImageId): void {
  if (!claimed.has(join(layout.images, id))) return
  throw new SandlabError('busy', `The image ${id} is being made or deleted just now.`, {
    hint: 'Its progress is among the operations.',
  })
}

/** The folder where all of it is made; without it there is nothing left. */
export function stagingStep<I extends Making>({ layout }: ImagesContext): Step<I> {
  return {
    title: 'Making a folder for it',
    do: ({ folder }) => makeStagingFolder(layout, folder),
    undo: ({ folder }) => removeStagingFolder(layout, folder),
  }
}

/**
 * The only way a file becomes a base image, as the last steps of every procedure that makes one: our own eyes, a fresh
 * qcow2 by the converter, then its names in `images/`, read-only, and its record, which is the commit.
 */
export function importSteps<I extends Making>(
  context: ImagesContext,
  parts: ImportParts<I>,
): Required<Pick<Procedure<I>, 'steps' | 'commit' | 'after'>> {
  const { layout } = context
  const limits = context.limits ?? DEFAULT_LIMITS
  const course: Partial<Course> = {}
  const folderOf = (intent: I) => stagingFolder(layout, intent.folder)
  const refusing = (work: (intent: I, op: OperationHandle) => Promise<void>) => (intent: I, op: OperationHandle) =>
    usingUp(['image_refused'], () => work(intent, portionOf(op, ...parts.share)), [
      () => rm(join(folderOf(intent), SOURCE_NAME), { force: true }),
      () => parts.discard(intent),
    ])
  return {
    steps: [
      {
        title: 'Looking at the file',
        do: refusing(async (intent, op) => {
          const { path, about } = parts.given(intent)
          parseAbout(about)
          const source = { path, consume: intent.consumes !== null || path.startsWith(folderOf(intent)) }
          const { spaceBytes: reservedBytes, imageId } = intent
          const what = `import ${imageId}`
          course.about = about
          course.checked = await takeIn({ source, folder: folderOf(intent), what, reservedBytes, limits, op })
        }),
        undo: async (intent) => {
          if (intent.consumes) await giveBack(folderOf(intent), intent.consumes.path, intent.consumes.mode)
        },
      },
      {
        title: 'Converting to a clean copy',
        do: refusing(async (intent, op) => {
          const { about, checked } = known(course, 'about', 'checked')
          course.converted = await convert(folderOf(intent), intent.imageId, about, checked, limits, op)
          course.boot = await finishBootFiles(folderOf(intent), about, limits, op)
        }),
      },
      {
        title: 'Publishing',
        async do(intent, op) {
          portionOf(op, ...parts.share).step('Publishing', 0.99)
          const { about, checked, converted, boot } = known(course, 'about', 'checked', 'converted', 'boot')
          course.image = recordOf(about, intent.imageId, converted, boot, checked, context.now())
          const names = [course.image.file, ...Object.keys(boot)]
          await publish(layout, folderOf(intent), names, intent.imageId)
          await writeImageSidecar(layout, course.image)
        },
        undo: (intent) => unpublish(layout, folderOf(intent), namesOfImage(intent.imageId), intent.imageId),
      },
    ],
    commit(draft, intent) {
      refuseTaken(draft, intent.imageId)
      draft.images.push(known(course, 'image').image)
    },
    after: [
      {
        title: 'Tidying up',
        async do(intent) {
          await quietly(context.log, () => parts.discard(intent))
          await quietly(context.log, () => removeStagingFolder(layout, intent.folder))
          const image = context.store.data.images.find(({ id }) => id === intent.imageId)
          if (!image) return
          context.bus.publish('images', image.id, image)
          context.log.info({ imageId: image.id, sha256: image.fingerprint.sha256 }, 'base image published')
        },
      },
    ],
  }
}

export function resourcesOf({ imageId, consumes }: Making) {
  return [
    { type: 'image' as const, id: `/images/${imageId}.qcow2` },
    ...(consumes ? [{ type: 'disk' as const, id: consumes.path }] : []),
  ]
}

/** A file that is no good helps nobody to try again with: it is used up as if it had been taken. */
export async function usingUp<T>(
  codes: readonly ErrorCode[],
  work: () => Promise<T>,
  discards: (() => Promise<void>)[],
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (isSandlabError(error) && codes.includes(error.code)) for (const discard of discards) await discard()
    throw error
  }
}

export function refuseTaken(state: Pick<Readonly<LabState>, 'images'>, id: string): void {
  if (state.images.some((image) => image.id === id)) throw imageExists(id)
}

/** What earlier steps of this run have found; a later process undoes or tidies, it never goes on in the middle. */
function known<K extends keyof Course>(course: Partial<Course>, ...keys: K[]): Pick<Course, K> {
  const missing = keys.find((key) => course[key] === undefined)
  if (missing !== undefined) throw new Error(`an import reached a step before it knew its ${missing}`)
  return course as Pick<Course, K> // each of the keys is there
}

/** What can't be removed is swept at the next start; it must not turn a success into a failure. */
async function quietly(log: Logger, work: () => Promise<void>): Promise<void> {
  await work().catch((error: unknown) => log.warn({ err: error }, 'left-overs of an import could not be removed'))
}

async function convert(
  folder: string,
  id: ImageId,
  about: ImageAbout,
  checked: CheckedDisk,
  limits: ImageLimits,
  op: OperationHandle,
): Promise<Finished> {
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
    trusted: about.trusted === true,
    signal: op.signal,
    onProgress: (done) => op.step('Converting to a clean copy', 0.1 + 0.7 * done),
  })
  op.step('Computing the checksum', 0.8)
  return finishImage(folder, output, namesOfImage(id)[0], checked, limits, {
    signal: op.signal,
    onBytes: (done) => op.bytes(done, null),
  })
}

async function finishBootFiles(
  folder: string,
  about: ImageAbout,
  limits: ImageLimits,
  op: OperationHandle,
): Promise<Record<string, Finished>> {
  const { directBoot, id } = about
  if (!directBoot) return {}
  const wanted: [string, string | null][] = [
    [kernelName(id), directBoot.kernelPath],
    [initrdName(id), directBoot.initrdPath],
  ]
  const finished: Record<string, Finished> = {}
  for (const [name, path] of wanted) {
    if (path === null) continue
    finished[name] = await finishBootFile(folder, name, path, limits.maxBootFileBytes, { signal: op.signal })
  }
  return finished
}
