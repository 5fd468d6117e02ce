import { rm } from 'node:fs/promises'
import type { Image } from '../domain/image.js'
import { imageSidecarFile, type Layout } from '../domain/layout.js'
import { fsyncDirectory, writeFileDurably } from '../system/durable-file.js'

/** Writes the image's record beside its file, durably: a lost state file is rebuilt from these. */
export function writeImageSidecar(layout: Layout, image: Image): Promise<void> {
  const sidecar = { kind: 'sandlabx-image', schema: 1, record: image }
  return writeFileDurably(imageSidecarFile(layout, image.id), `${JSON.stringify(sidecar, undefined, 2)}\n`)
}

/** Absent is success. */
export async function removeImageSidecar(layout: Layout, imageId: string): Promise<void> {
  await rm(imageSidecarFile(layout, imageId), { force: true })
  await fsyncDirectory(layout.images)
}
