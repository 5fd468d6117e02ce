import { z } from 'zod'
import { layerSchema } from './layer.js'
import { nodeRecordSchema } from './node.js'
import { operationIdSchema, userIdSchema } from './ids.js'
import { driveRecordSchema } from './drive.js'
import { snapshotSchema } from './snapshot.js'

export const TRASH_REASONS = [
  'deleted',
  'reset',
  'restored',
  'replaced',
  'snapshot-deleted',
  'drive-deleted',
  'memory-discarded',
  'orphan',
] as const

/**
 * `overlays/.trash/<folder>/entry.json`, written before anything moves into the folder: all that is needed to bring it
 * back. `folder` is the time and an id, and is the entry's id.
 */
export const trashEntrySchema = z.object({
  kind: z.literal('sandlabx-trash'),
  schema: z.literal(1),
  id: z.string().regex(/^[0-9A-Za-z._-]{1,120}$/),
  at: z.iso.datetime(),
  reason: z.enum(TRASH_REASONS),
  /** What it was, in words: `node web`. */
  title: z.string(),
  ownerId: userIdSchema.nullable(),
  actorLogin: z.string(),
  operationId: operationIdSchema.nullable(),
  /** As it was before. For a reset or a restored snapshot: whose disk this was. */
  node: nodeRecordSchema.nullable(),
  /** Records of layers whose files lie here. */
  layers: z.array(layerSchema),
  snapshots: z.array(snapshotSchema),
  drives: z.array(driveRecordSchema),
  /** File names here, and where in `overlays/` each was. */
  files: z.array(z.object({ name: z.string(), was: z.string() })),
})
export type TrashEntry = z.infer<typeof trashEntrySchema>

export const trashViewSchema = z
  .object({
    id: z.string(),
    at: z.iso.datetime(),
    /** When it is removed for good by itself; null: never. */
    purgedAt: z.iso.datetime().nullable(),
    reason: z.enum(TRASH_REASONS),
    title: z.string(),
    ownerId: userIdSchema.nullable(),
    ownerLogin: z.string().nullable(),
    actorLogin: z.string(),
    operationId: z.string().nullable(),
    nodeName: z.string().nullable(),
    /** Bytes on the disk. */
    usedBytes: z.number(),
    files: z.array(z.object({ path: z.string(), bytes: z.number() })),
    /** Why it can't be restored now; null when it can. */
    refusal: z.string().nullable(),
  })
  .meta({ id: 'TrashEntry' })
export type TrashView = z.infer<typeof trashViewSchema>

/** Fresh disks over the base image, or over a snapshot of each. Exactly one way to say which nodes. */
export const resetNodesSchema = z
  .strictObject({
    nodeIds: z.array(z.uuid()).min(1).max(500).optional(),
    /** All nodes of this account. */
    ownerId: userIdSchema.optional(),
    /** All nodes that I may change. */
    all: z.literal(true).optional(),
    /** Node names with `*` for any letters. */
    name: z.string().min(1).max(63).optional(),
    /** A snapshot's name; nodes without one of that name are refused. Absent: the base image. */
    snapshot: z.string().max(63).optional(),
    /** Running ones are asked to shut down; `now`: they are not asked. */
    now: z.boolean().default(false),
    /** Resets those that can be reset. Otherwise all or none. */
    keepGoing: z.boolean().default(false),
  })
  .meta({ id: 'ResetNodes' })
export type ResetNodes = z.infer<typeof resetNodesSchema>
