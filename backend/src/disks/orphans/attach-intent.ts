import { z } from 'zod'
import { layerSchema } from '../../domain/layer.js'
import { overlayStagingDir, type Layout } from '../../domain/layout.js'
import { nodeRecordSchema } from '../../domain/node.js'
import { snapshotSchema } from '../../domain/snapshot.js'

/**
 * How the disk comes to the node. `keep`: it has the node's name; `rename`: it is given it; `layer`: a fresh disk over
 * it; `convert`: a clean copy of a disk that stands alone; `copy`: a copy of a disk over a base image; `fresh`: none is
 * attached, a new one is made over the base image.
 */
export const ATTACH_WAYS = ['keep', 'rename', 'layer', 'convert', 'copy', 'fresh'] as const

/** All that an attach will name, before its first step. */
export const attachIntentSchema = z.object({
  id: z.uuid(),
  at: z.iso.datetime(),
  record: nodeRecordSchema,
  way: z.enum(ATTACH_WAYS),
  /** Absolute, and as people know it. Empty for `fresh`. */
  path: z.string(),
  shown: z.string(),
  /** How the header names its base image, and how it must. */
  rebase: z.object({ from: z.string(), to: z.string() }).nullable(),
  /** What the record beside the disk says, which says `detached` again if this fails. */
  former: nodeRecordSchema.nullable(),
  /** Records that the state has lost, or never had. */
  layers: z.array(layerSchema),
  snapshots: z.array(snapshotSchema),
  /** Drives whose files are made. */
  newDrives: z.array(z.string()),
  /** Bytes in `overlays/`, without margin. */
  needBytes: z.int().nonnegative(),
  start: z.boolean(),
  actor: z.object({ id: z.string().nullable(), login: z.string() }),
  warnings: z.array(z.string()),
})
export type AttachIntent = z.infer<typeof attachIntentSchema>

/** On the overlays' file system; goes with the operation. */
export function attachStaging(layout: Layout, { id }: Pick<AttachIntent, 'id'>): string {
  return `${overlayStagingDir(layout)}/${id}`
}
