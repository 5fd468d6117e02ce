import type { ImageView } from '@domain/image.js'
import { GIB, MIB } from '@domain/units.js'

/** What the person chose; what is absent is as the image needs it. Bytes. */
export interface Sizes {
  cpus: number
  memory?: number
  disk?: number
}

/** What a node over this image gets: never less than the image needs. Bytes. */
export function sizesFor(image: ImageView | undefined, sizes: Sizes) {
  const minimumMemory = (image?.minimumMemoryMib ?? 64) * MIB
  const minimumDisk = image?.virtualSizeBytes ?? GIB
  return {
    minimumMemory,
    minimumDisk,
    memory: Math.max(sizes.memory ?? 0, minimumMemory),
    disk: Math.max(sizes.disk ?? 0, minimumDisk),
  }
}
