import { z } from 'zod'
import { fingerprintSchema } from './image.js'
import { imageIdSchema, layerIdSchema, nodeIdSchema, operationIdSchema } from './ids.js'

/** What a disk stands on: the base image, a frozen layer, or nothing (a full copy that needs no other file). */
export const backingSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('image') }),
  z.strictObject({ kind: z.literal('layer'), layerId: layerIdSchema }),
  z.strictObject({ kind: z.literal('none') }),
])
export type Backing = z.infer<typeof backingSchema>

/**
 * A disk as it was at one moment, read-only ever after: `overlays/layer_<id>.qcow2`. Linked clones stand on one. It lies
 * beside the overlays because it was one: the relative path of its own backing file stays right.
 */
export const layerSchema = z.object({
  id: layerIdSchema,
  /** File name in `overlays/`. */
  file: z.string(),
  /** The node whose disk it was, and which of its disks. It goes when no snapshot has it and nothing stands on it. */
  nodeId: nodeIdSchema,
  driveId: z.string().default('root'),
  imageId: imageIdSchema,
  /** The base image's fingerprint. A data drive's layer has the node's, too; it stands on none. */
  base: fingerprintSchema,
  backing: backingSchema,
  /** Virtual size in bytes. */
  diskBytes: z.int().positive(),
  /** Length and time of change of the file when it was frozen: any difference means that disks over it read wrong data. */
  sizeBytes: z.int().nonnegative(),
  mtimeMs: z.number(),
  createdAt: z.iso.datetime(),
  /** The operation that made it. */
  operationId: operationIdSchema,
})
export type Layer = z.infer<typeof layerSchema>

/** Layers under one disk; a deeper chain is flattened first, since each one costs a look-up at every read. */
export const MAX_CHAIN_DEPTH = 8

/** All that a disk stands on, nearest first. */
export interface Chain<L = Layer> {
  layers: L[]
  /** Whether the base image is at its end; false: the last layer needs no other file. */
  base: boolean
  /** A layer that no record has: the chain is broken there. */
  missing: string | null
}

/** Follows the records from what a disk stands on to its end. Pure. */
export function chainOf(layers: readonly Layer[], backing: Backing): Chain {
  const found: Layer[] = []
  for (let next = backing; next.kind === 'layer';) {
    const { layerId } = next
    const layer = layers.find(({ id }) => id === layerId)
    if (!layer || found.includes(layer)) return { layers: found, base: false, missing: layerId }
    found.push(layer)
    next = layer.backing
    if (next.kind === 'none') return { layers: found, base: false, missing: null }
  }
  return { layers: found, base: backing.kind !== 'none', missing: null }
}
