import { stat } from 'node:fs/promises'
import { z } from 'zod'
import { imageIdSchema } from '../domain/ids.js'
import { imageSchema, type Image } from '../domain/image.js'
import { imageFile } from '../domain/layout.js'
import type { ImageTransfer, NodeTransfer, TransferFile } from '../domain/transfer.js'
import type { NodesContext } from './context.js'
import type { StandaloneDisk } from './send-disk.js'
import type { SendIntent } from './send-intent.js'

/** An image of the other side, as far as we compare it. */
export type ImageThere = Pick<Image, 'id' | 'fingerprint' | 'sourceSha256'>

/** Of the images of the other side only what we compare: it may be newer than we are. */
export const imagesThereSchema = z.object({
  images: z.array(imageSchema.pick({ id: true, fingerprint: true, sourceSha256: true })),
})

/** The node as it is announced over there. */
export function nodeTransfer(intent: SendIntent, imageSha256: string, disk: StandaloneDisk): NodeTransfer {
  const { source, name, replace, start, key } = intent
  const { cpus, memoryMib, diskBytes, internet, agent, devices, guest } = source
  return {
    kind: 'node',
    key,
    node: { name, cpus, memoryMib, diskBytes, internet, agent, ...(devices ? { devices } : {}), guest },
    from: source.name,
    imageSha256,
    disk: { sha256: disk.sha256, sizeBytes: disk.sizeBytes },
    unpackedBytes: disk.unpackedBytes,
    replace,
    start,
  }
}

/** Ours, or a copy of ours, or what ours is a copy of. */
export function sameImage(there: readonly ImageThere[], { fingerprint, sourceSha256 }: Image): ImageThere | undefined {
  const { sha256 } = fingerprint
  return there.find((image) => {
    const theirs = image.fingerprint.sha256
    return theirs === sha256 || image.sourceSha256 === sha256 || theirs === sourceSha256
  })
}

/** Its base image, under an id that is free over there. */
export async function imageTransfer(
  context: NodesContext,
  intent: SendIntent,
  image: Image,
  there: readonly ImageThere[],
): Promise<ImageTransfer> {
  const { title, description, version, firmware, cloudInit, loginNotes, minimumMemoryMib, directBoot } = image
  const { guestAgent, sshServer } = image
  const sized = async (name: string, sha256: string) => ({
    sha256,
    sizeBytes: (await stat(imageFile(context.layout, name))).size,
  })
  const boot = async (name: string | null | undefined) => (name ? sized(name, image.bootFiles[name] ?? '') : null)
  const { sha256 } = image.fingerprint
  const isTaken = there.some(({ id }) => id === image.id)
  const id = isTaken ? imageIdSchema.parse(`${image.id.slice(0, 50)}-${sha256.slice(0, 8)}`) : image.id
  const commandLine = directBoot?.commandLine ?? null
  const about = { id, title, description, version, firmware, cloudInit, loginNotes, minimumMemoryMib, commandLine }
  return {
    kind: 'image',
    key: `${intent.key}-image`,
    image: {
      ...about,
      ...(guestAgent === undefined ? {} : { guestAgent }),
      ...(sshServer === undefined ? {} : { sshServer }),
    },
    disk: await sized(image.file, sha256),
    kernel: await boot(directBoot?.kernel),
    initrd: await boot(directBoot?.initrd),
  }
}

export function filesOfImage(
  context: NodesContext,
  { file, directBoot }: Image,
): Partial<Record<TransferFile, string>> {
  return {
    disk: imageFile(context.layout, file),
    ...(directBoot ? { kernel: imageFile(context.layout, directBoot.kernel) } : {}),
    ...(directBoot?.initrd ? { initrd: imageFile(context.layout, directBoot.initrd) } : {}),
  }
}
