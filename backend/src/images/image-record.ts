import { SandlabError } from '../domain/error.js'
import type { ImageId } from '../domain/ids.js'
import { imageSchema, type Image } from '../domain/image.js'
import { wholeSectors } from '../system/qcow2-overlay.js'
import type { CheckedDisk } from './header-check.js'
import { fingerprintOf, type Finished } from './publication.js'

/** What people and recipes say about an image; the rest is measured. */
export type ImageAbout = Omit<
  Image,
  'id' | 'file' | 'virtualSizeBytes' | 'fingerprint' | 'bootFiles' | 'directBoot' | 'createdAt'
> & {
  id: string
  /** Files that are copied beside the image; paths on this machine. */
  directBoot?: { kernelPath: string; initrdPath: string | null; commandLine: string } | null
  /** Made by our own recipe: the converter may take an hour. Every check stays. */
  trusted?: boolean
}

const aboutSchema = imageSchema.pick({
  id: true,
  title: true,
  description: true,
  version: true,
  loginNotes: true,
  minimumMemoryMib: true,
})

export const kernelName = (id: string) => `${id}.vmlinuz`
export const initrdName = (id: string) => `${id}.initrd`

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
    file: `${id}.qcow2`,
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
  const parsed = aboutSchema.safeParse(about)
  if (parsed.success) return parsed.data.id
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
  throw new SandlabError('bad_request', `The image can't be described like this: ${faults.join('; ')}.`)
}
