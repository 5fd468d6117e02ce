import { randomUUID } from 'node:crypto'
import { lstat, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { uploadsDir, type Layout } from '../domain/layout.js'
import type { OperationPlan } from '../domain/plan.js'
import { errnoOf } from '../system/durable-file.js'
import type { Procedure } from '../transactions/procedure.js'
import type { ImageActor, ImagesContext, StartedImage } from './context.js'
import { imageAboutSchema, parseAbout, type ImageAbout } from './image-record.js'
import {
  aroundMaking,
  importSteps,
  makingSchema,
  refuseTaken,
  resourcesOf,
  stagingStep,
  usingUp,
} from './import-steps.js'
import { requireChecksums } from './checksums.js'
import { roomFor } from './intake.js'
import { planMaking, startMaking } from './making.js'

export interface ImportRequest {
  /**
   * `consume`: the file is used up. It is gone after success and after a refusal, and in its place again after any other
   * failure. Otherwise it is only read.
   */
  source: { path: string; consume: boolean }
  about: ImageAbout
  /** What the files must be, where that was told beforehand. */
  checksums?: { path: string; sha256: string }[]
  /** Removed with the source. */
  discards?: string[]
}

const intentSchema = makingSchema.extend({
  path: z.string(),
  about: imageAboutSchema,
  /** What the files must be, where that was told beforehand. */
  checksums: z.array(z.object({ path: z.string(), sha256: z.string() })).default([]),
  /** Removed with the source. */
  discards: z.array(z.string()).default([]),
})
type ImportIntent = z.infer<typeof intentSchema>

/** Makes a base image of a file that lies on this machine. */
export function importProcedure(context: ImagesContext): Procedure<ImportIntent> {
  const discard = async ({ consumes, discards }: ImportIntent) => {
    for (const path of [...(consumes ? [consumes.path] : []), ...discards]) await discardSource(context.layout, path)
  }
  const { steps, commit, after } = importSteps<ImportIntent>(context, {
    given: ({ path, about }) => ({ path, about }),
    discard,
    share: [0, 1],
  })
  return {
    kind: 'image.import',
    intent: intentSchema,
    resources: resourcesOf,
    around: (intent, work) => aroundMaking(context, intent, work),
    steps: [
      stagingStep(context),
      {
        title: 'Comparing the checksums',
        do: (intent, op) =>
          usingUp(['checksum_mismatch', 'image_refused'], () => requireChecksums(intent.checksums, op.signal), [
            () => discard(intent),
          ]),
      },
      ...steps,
    ],
    commit,
    after,
  }
}

/**
 * Checks a file with our own eyes, has it converted to a fresh qcow2, and publishes that under `images/<id>.qcow2`,
 * read-only, with its record; the durable record is the commit. A request that came before with the same key is answered
 * with that operation.
 *
 * Throws `bad_request`, `image_exists`, `not_found`, `key_reused`; the operation fails with `image_refused`,
 * `image_exists`, `busy`, `no_space`, `too_large`, `cancelled`: then nothing is left behind, and `source` is as there.
 */
export async function importImage(
  context: ImagesContext,
  request: ImportRequest,
  actor: ImageActor,
): Promise<StartedImage> {
  return startMaking(context, importProcedure(context), actor, `Import ${request.about.title}`, () =>
    intentOf(context, request),
  )
}

/** What an import would take, and whether it would be refused before it begins. */
export function planImport(context: ImagesContext, request: ImportRequest): Promise<OperationPlan> {
  return planMaking(context, () => intentOf(context, request), {
    kind: 'image.import',
    title: `Import ${request.about.title}`,
    imageId: request.about.id,
    steps: ['Look at the file', 'Convert it to a clean copy', 'Publish it, read-only, with its checksum'],
  })
}

async function intentOf(context: ImagesContext, request: ImportRequest): Promise<ImportIntent> {
  const { source, about, checksums = [], discards = [] } = request
  const imageId = parseAbout(about)
  refuseTaken(context.store.data, imageId)
  // Not through a link: those are refused with words of their own.
  const stats = await lstat(source.path).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'ENOTDIR') throw error
    throw new SandlabError('not_found', `There is no file ${source.path}.`, { cause: error })
  })
  const isOnDevice = (await stat(context.layout.images)).dev === stats.dev
  return {
    imageId,
    folder: randomUUID(),
    consumes: source.consume ? { path: source.path, mode: stats.mode & 0o777 } : null,
    spaceBytes: roomFor(stats, source.consume && isOnDevice),
    path: source.path,
    about,
    checksums,
    discards,
  }
}

/** An upload has its size and its owner in a file beside it. */
async function discardSource(layout: Layout, path: string): Promise<void> {
  await rm(path, { force: true })
  if (dirname(path) === uploadsDir(layout)) await rm(`${path}.json`, { force: true })
}
