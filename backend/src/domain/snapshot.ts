import { z } from 'zod'
import { driveIdSchema, ROOT_DRIVE } from './drive.js'
import { layerIdSchema, nodeIdSchema, operationIdSchema, snapshotIdSchema, type LayerId } from './ids.js'
import { chainOf, type Backing, type Layer } from './layer.js'

export const snapshotNameSchema = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'letters, digits, dots, dashes, underscores; at most 63')

/** A guest's memory as it was, beside the layers: `overlays/memory_<snapshotId>.bin`. */
export const snapshotMemorySchema = z.object({
  file: z.string(),
  sizeBytes: z.int().nonnegative(),
  /** What must be the same for it to go on. */
  qemuVersion: z.string(),
  machine: z.string(),
})

/** The disks of a node at one moment. Its layers stay as long as it does. */
export const snapshotSchema = z
  .object({
    id: snapshotIdSchema,
    nodeId: nodeIdSchema,
    /** Unique within the node. */
    name: snapshotNameSchema,
    note: z.string().max(2000),
    /** The newest snapshot that the node's disks stood on then. */
    parentId: snapshotIdSchema.nullable(),
    disks: z.array(z.object({ driveId: driveIdSchema, layerId: layerIdSchema })).min(1),
    memory: snapshotMemorySchema.nullable(),
    /** `stopped`: whole; `live`: as after a power cut; `frozen`: the guest had written out everything before. */
    consistency: z.enum(['stopped', 'live', 'frozen']),
    /** Made by the schedule, and removed by its retention. */
    automatic: z.enum(['hourly', 'daily', 'weekly']).nullable(),
    cpus: z.int(),
    memoryMib: z.int(),
    /** Its machine had a port for the guest's agent: its memory fits no other one. Absent: it had none. */
    agent: z.boolean().optional(),
    createdAt: z.iso.datetime(),
    actorLogin: z.string(),
    operationId: operationIdSchema,
  })
  .meta({ id: 'Snapshot' })
export type Snapshot = z.infer<typeof snapshotSchema>

/** A node's own, oldest first. Pure. */
export function snapshotsOf(state: { readonly snapshots: readonly Snapshot[] }, nodeId: string): Snapshot[] {
  return state.snapshots
    .filter((snapshot) => snapshot.nodeId === nodeId)
    .toSorted((one, other) => one.createdAt.localeCompare(other.createdAt))
}

/**
 * The newest snapshot of a node that a disk of it stands on; null: none. What is unnamed in between is passed over: it is
 * there for a clone. Pure.
 */
export function snapshotUnder(
  state: { readonly snapshots: readonly Snapshot[]; readonly layers: readonly Layer[] },
  nodeId: string,
  backing: Backing,
): Snapshot | null {
  const own = snapshotsOf(state, nodeId)
  for (const layer of chainOf(state.layers, backing).layers) {
    const found = own.findLast(({ disks }) => disks.some(({ layerId }) => layerId === layer.id))
    if (found) return found
  }
  return null
}

/** Null for one of data drives only. */
export function rootLayerOf({ disks }: Pick<Snapshot, 'disks'>): LayerId | null {
  return disks.find(({ driveId }) => driveId === ROOT_DRIVE)?.layerId ?? null
}

/** Every layer that a snapshot keeps. */
export function keptBySnapshots(snapshots: readonly Pick<Snapshot, 'disks'>[]): LayerId[] {
  return snapshots.flatMap(({ disks }) => disks.map(({ layerId }) => layerId))
}

export const snapshotViewSchema = snapshotSchema
  .extend({
    /** Bytes that its layers and its memory hold on the disk. */
    usedBytes: z.number(),
    /** The node's disks stand on it now, with nothing named in between. */
    current: z.boolean(),
    /** Names of nodes, besides its own, whose disks stand on it. */
    usedBy: z.array(z.object({ id: nodeIdSchema, name: z.string() })),
  })
  .meta({ id: 'SnapshotView' })
export type SnapshotView = z.infer<typeof snapshotViewSchema>

export const createSnapshotSchema = z
  .strictObject({
    name: snapshotNameSchema,
    note: z.string().max(2000).default(''),
    /** Absent: all disks of ours, the root disk and automatic drives. */
    drives: z.array(driveIdSchema).min(1).optional(),
    /** Of a running node: its memory, too, so that it comes back at the same screen. */
    memory: z.boolean().default(false),
    /** Asks the guest's agent to write everything out first; without one it is refused. */
    freeze: z.boolean().default(false),
  })
  .meta({ id: 'CreateSnapshot' })
export type CreateSnapshot = z.infer<typeof createSnapshotSchema>

export const updateSnapshotSchema = z
  .strictObject({ name: snapshotNameSchema.optional(), note: z.string().max(2000).optional() })
  .meta({ id: 'UpdateSnapshot' })
export type UpdateSnapshot = z.infer<typeof updateSnapshotSchema>

/** What is on the disks now goes to the trash. A running node is stopped, restored, and started again. */
export const restoreSnapshotSchema = z
  .strictObject({
    /** Only these; absent: all that it has. */
    drives: z.array(driveIdSchema).min(1).optional(),
    /** Ends the guest without asking it. */
    now: z.boolean().default(false),
  })
  .meta({ id: 'RestoreSnapshot' })
export type RestoreSnapshot = z.infer<typeof restoreSnapshotSchema>

/** How many of each are kept; 0: none is made. */
export const snapshotScheduleSchema = z
  .strictObject({
    hourly: z.int().min(0).max(48).default(0),
    daily: z.int().min(0).max(60).default(0),
    weekly: z.int().min(0).max(52).default(0),
  })
  .meta({ id: 'SnapshotSchedule' })
export type SnapshotSchedule = z.infer<typeof snapshotScheduleSchema>
