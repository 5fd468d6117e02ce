import { imageIdSchema } from '../domain/ids.js'
import type { Image } from '../domain/image.js'
import { freeName } from './names.js'
import type { OldDisk, OldImage } from './old-disks.js'
import type { OldNode } from './old-records.js'

/** The old names of base images by the system that a record names. */
const FILES: Record<string, string> = {
  ubuntu: 'ubuntu-24-lts.qcow2',
  alpine: 'alpine-3.qcow2',
  debian: 'debian-13.qcow2',
  bazzite: 'bazzite-gnome.qcow2',
  router: 'router.qcow2',
}
/** What the old SandLabX took when it knew no better. */
const FALLBACK = 'ubuntu-24-lts.qcow2'

/** `from`: a file that has to come over; `here`: it came over before; `missing`: why there is none, as a sentence. */
export type ImageChoice = { from: OldImage } | { here: Image } | { missing: string }

/**
 * The base image of an old node: what its disk stands on, whatever its record says; for a node without a disk, what it
 * would have been given. Files that are base images of ours already are not taken for old ones of the same name. Pure.
 */
export function chooseImage(
  old: Pick<OldNode, 'osType' | 'imageFile'>,
  disk: Pick<OldDisk, 'baseFile' | 'baseIsCustom'> | null,
  images: readonly OldImage[],
  present: readonly Image[],
): ImageChoice {
  const file = disk?.baseFile ?? wantedFile(old)
  const isCustom = disk?.baseFile ? disk.baseIsCustom : old.imageFile !== null
  const ours = new Set(present.map(({ fingerprint }) => fingerprint.sha256))
  const candidates = images.filter((image) => image.file === file && !ours.has(image.sha256))
  const found = candidates.find((image) => image.isCustom === isCustom) ?? candidates[0]
  if (found) return { from: found }
  const here = present.find((image) => image.file === file && image.sourceSha256 !== undefined)
  if (here) return { here }
  return {
    missing: disk?.baseFile
      ? `Its disk stands on the base image ${file}, which was not found in any images folder: without it the disk can't be read.`
      : `Its base image ${file} was not found in any images folder.`,
  }
}

/** Names of the files that these nodes need. */
export function neededFiles(nodes: readonly OldNode[], disks: readonly OldDisk[]): Set<string> {
  return new Set([...disks.flatMap(({ baseFile }) => (baseFile === null ? [] : [baseFile])), ...nodes.map(wantedFile)])
}

function wantedFile({ osType, imageFile }: Pick<OldNode, 'osType' | 'imageFile'>): string {
  if (imageFile !== null) return imageFile
  const type = osType?.trim().toLowerCase() ?? ''
  if (/^[a-z0-9][a-z0-9._-]*\.(qcow2|img)$/i.test(type)) return osType?.trim() ?? ''
  return FILES[type] ?? FALLBACK
}

/** `alpine-3` for `alpine-3.qcow2`; with a number when that is taken. */
export function oldImageId(file: string, taken: readonly string[]): string {
  const plain = file
    .toLowerCase()
    .replace(/\.(qcow2|img)$/, '')
    .replaceAll(/[^a-z0-9._-]+/g, '-')
    .slice(0, 50)
  const id = imageIdSchema.safeParse(plain).success ? plain : 'old-image'
  if (!taken.includes(id)) return id
  return freeName(`${id}-old`, (name) => taken.includes(name), 63)
}
