import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { imageIdSchema, type ImageId } from '../domain/ids.js'
import { imageSchema, type Image } from '../domain/image.js'
import { wholeSectors } from '../system/qcow2-overlay.js'
import type { CheckedDisk } from './header-check.js'
import { fingerprintOf, type Finished } from './publication.js'

/** What people and recipes say about an image; the rest is measured. */
export const imageAboutSchema = imageSchema
  .omit({ file: true, virtualSizeBytes: true, fingerprint: true, bootFiles: true, directBoot: true, createdAt: true })
  .extend({
    id: z.string(),
    /** Files that are copied beside the image; paths on this machine. */
    directBoot: z
      .object({ kernelPath: z.string(), initrdPath: z.string().nullable(), commandLine: z.string() })
      .nullish(),
    /** Made by our own recipe: the converter may take an hour. Every check stays. */
    trusted: z.boolean().optional(),
  })
export type ImageAbout = z.infer<typeof imageAboutSchema>

export const imageFileName = (id: string) => `${id}.qcow2`
export const kernelName = (id: string) => `${id}.vmlinuz`
export const initrdName = (id: string) => `${id}.initrd`
/** Every name that an image may have in `images/`; the first is its disk. */
export const namesOfImage = (id: string): [string, ...string[]] => [imageFileName(id), kernelName(id), initrdName(id)]

/** The record of a finished image. */
export function recordOf(
  description: ImageAbout,
  id: ImageId,
  converted: Finished,
  boot: Record<string, Finished>,
  checked: CheckedDisk,
  now: Date,
): Image {
  const { directBoot, trusted: _trusted, ...about } = description
  return {
    ...about,
    id,
    file: imageFileName(id),
    virtualSizeBytes: wholeSectors(checked.virtualSizeBytes),
    fingerprint: fingerprintOf(converted),
    bootFiles: Object.fromEntries(Object.entries(boot).map(([name, { sha256 }]) => [name, sha256])),
    directBoot: directBoot
      ? {
          kernel: kernelName(id),
          initrd: directBoot.initrdPath === null ? null : initrdName(id),
          commandLine: directBoot.commandLine,
        }
      : null,
    createdAt: now.toISOString(),
  }
}

/** The id, when all that people may say is within its bounds. Throws `bad_request`. */
export function parseAbout(about: ImageAbout): ImageId {
  const parsed = imageAboutSchema.extend({ id: imageIdSchema }).safeParse(about)
  if (parsed.success) return parsed.data.id
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
  throw new SandlabError('bad_request', `The image can't be described like this: ${faults.join('; ')}.`)
}
