import { z } from 'zod'
import { driveRecordSchema } from '../../domain/drive.js'
import { layerIdSchema } from '../../domain/ids.js'
import { layerSchema } from '../../domain/layer.js'
import { nodeRecordSchema } from '../../domain/node.js'
import { snapshotSchema } from '../../domain/snapshot.js'
import { trashEntrySchema, type TrashEntry } from '../../domain/trash.js'

/** What comes back of one entry, and how. */
export const restoreItemSchema = z.object({
  /** Its files are those that lie in the trash. */
  entry: trashEntrySchema,
  /** `node`: the whole node; `swap`: disks of a node that has others now; `parts`: a snapshot or a drive; `files`: only files;
   * `memory`: of a node that is still switched off, so that it is suspended again. */
  how: z.enum(['node', 'swap', 'parts', 'files', 'memory']),
  /** `node`: as it comes back. `swap`, `parts`: as it is now. */
  record: nodeRecordSchema.nullable(),
  /** The guest is shut down first, and started again afterwards. */
  running: z.boolean(),
  layers: z.array(layerSchema),
  snapshots: z.array(snapshotSchema),
  drives: z.array(driveRecordSchema),
  /** `swap`: the disks that make room, without the operation's id. */
  makesRoom: trashEntrySchema.nullable(),
  /** `swap`: layers under those. */
  layersBelow: z.array(layerSchema),
})
export type RestoreItem = z.infer<typeof restoreItemSchema>

export const restoreIntentSchema = z.object({
  id: z.uuid(),
  at: z.iso.datetime(),
  items: z.array(restoreItemSchema).min(1),
  actor: z.object({ id: z.string().nullable(), login: z.string() }),
  /** Said in the nodes' histories: `Brought back from the trash`, `Undone: Reset web`. */
  words: z.string(),
  /** Found out by a step: layers under disks that were kept when their nodes were deleted. */
  keptLayers: z.array(layerIdSchema),
})
export type RestoreIntent = z.infer<typeof restoreIntentSchema>

/** By the reason why it is in the trash. Pure. */
export function howOf({ reason }: Pick<TrashEntry, 'reason'>): RestoreItem['how'] {
  if (reason === 'deleted' || reason === 'replaced') return 'node'
  if (reason === 'reset' || reason === 'restored') return 'swap'
  if (reason === 'memory-discarded') return 'memory'
  return reason === 'orphan' ? 'files' : 'parts'
}

/** Nodes that it must have to itself. */
export function nodesOf({ items }: Pick<RestoreIntent, 'items'>): string[] {
  return items.flatMap(({ record }) => record?.id ?? [])
}
