import { z } from 'zod'
import { layerIdSchema, snapshotIdSchema } from '../domain/ids.js'
import { backingSchema, layerSchema } from '../domain/layer.js'
import { overlayStagingDir, type Layout } from '../domain/layout.js'
import { nodeRecordSchema } from '../domain/node.js'
import { snapshotNameSchema } from '../domain/snapshot.js'
import { clonedDriveSchema } from './clone-drive-plan.js'
import { nodeStorageSchema } from './node-storage.js'

/** All that a clone will name, before its first step. */
export const cloneIntentSchema = z.object({
  /** Names its folder in staging, and its freeze of the source. */
  id: z.uuid(),
  at: z.iso.datetime(),
  /** As it was when it was asked for. */
  source: nodeRecordSchema,
  full: z.boolean(),
  /** Of the layer that the source's disk may become; the name is a person's reason to keep it. */
  layerId: layerIdSchema,
  layerName: snapshotNameSchema.nullable(),
  /** Of the snapshot that is kept under that name. */
  snapshotIdToMake: snapshotIdSchema,
  /** Instead of the source's disk: this snapshot of it. */
  snapshotId: layerIdSchema.nullable(),
  /** The clones. What they stand on is known when the source's disk has been looked at. */
  records: z.array(nodeRecordSchema),
  /** Nodes that make room for them. */
  replaced: z.array(nodeRecordSchema),
  /** Of each of them, in that order: what goes with it. */
  replacedStorage: z.array(nodeStorageSchema).default([]),
  replacedBy: z.enum(['idempotent', 'force']).nullable(),
  start: z.boolean(),
  /** Who asked, for the histories of the nodes. */
  actor: z.object({ id: z.string().nullable(), login: z.string() }),
  /** Bytes in `overlays/`, without margin. */
  needBytes: z.int().nonnegative(),
  /** Found out by the steps, and again when they run again. */
  layer: layerSchema.nullable(),
  from: backingSchema,
  /** The source now stands on the layer; otherwise it was copied. */
  sourceMoved: z.boolean(),
  /** Further drives that the clones have as well. */
  drives: z.array(clonedDriveSchema).default([]),
  /** Layers under disks that were kept when their nodes were deleted. */
  keptLayers: z.array(layerIdSchema),
})
export type CloneIntent = z.infer<typeof cloneIntentSchema>

/** On the overlays' file system; goes with the operation. */
export function cloneStaging(layout: Layout, intent: Pick<CloneIntent, 'id'>): string {
  return `${overlayStagingDir(layout)}/${intent.id}`
}
