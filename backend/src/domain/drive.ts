import { z } from 'zod'
import { backingSchema } from './layer.js'
import { userIdSchema } from './ids.js'

/** Names a drive within its node; `root` is the disk that the guest boots from. */
export const driveIdSchema = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'lower-case letters, digits and dashes, starting with a letter; at most 32')
export const ROOT_DRIVE = 'root'

const rate = z.int().min(1).max(1e15)

/** QEMU's throttle (docs/throttle.txt); null: no limit. A burst needs its limit. */
export const driveLimitsSchema = z.strictObject({
  bytesPerSecond: rate.nullable().default(null),
  operationsPerSecond: rate.nullable().default(null),
  /** Bytes per second for a moment. */
  burstBytesPerSecond: rate.nullable().default(null),
  burstOperationsPerSecond: rate.nullable().default(null),
})
export type DriveLimits = z.infer<typeof driveLimitsSchema>
export const NO_LIMITS: DriveLimits = driveLimitsSchema.parse({})

/** How the guest reaches a drive: recorded now, applied at the next start. */
export const driveSettingsSchema = z.object({
  readOnly: z.boolean().default(false),
  /** `writeback`: the host's page cache; `none`: past it; `writethrough`: every write is flushed. */
  cache: z.enum(['writeback', 'none', 'writethrough']).default('writeback'),
  /** `native` needs cache `none`; `io_uring` is refused by most containers. */
  io: z.enum(['threads', 'native', 'io_uring']).default('threads'),
  limits: driveLimitsSchema.default(NO_LIMITS),
  /** When it was changed last: a node that has run since before then has it at its next start. */
  changedAt: z.iso.datetime().nullable().default(null),
})
export type DriveSettings = z.infer<typeof driveSettingsSchema>
export const DEFAULT_SETTINGS: DriveSettings = driveSettingsSchema.parse({})

export const DEFAULT_DRIVE_BYTES = 10 * 1024 ** 3
const sizeSchema = z
  .int()
  .min(1024 * 1024)
  .max(64 * 1024 ** 4)

/** A further drive of a node. The root disk is not among them: it is the node's own. */
export const driveRecordSchema = driveSettingsSchema.extend({
  id: driveIdSchema,
  /** `automatic`: made by us in `overlays/`, and made again when it is missing; `file`: somebody's own. */
  source: z.enum(['automatic', 'file']),
  /** Automatic: a file name in `overlays/` (`drive_<uuid>.qcow2`). Otherwise an absolute path, or a file name there. */
  file: z.string().max(4096),
  format: z.enum(['qcow2', 'raw']),
  /** Virtual size in bytes: of an automatic one, what it is made again with. */
  sizeBytes: sizeSchema,
  /** Of an automatic one that has snapshots: what it stands on. */
  backing: backingSchema.default({ kind: 'none' }),
  createdAt: z.iso.datetime(),
})
export type DriveRecord = z.infer<typeof driveRecordSchema>

/** A drive as the API answers it; the root disk is the first. */
export const driveViewSchema = z
  .object({
    id: driveIdSchema,
    root: z.boolean(),
    source: z.enum(['automatic', 'file']),
    /** As records show it: `/overlays/drive_<uuid>.qcow2`, or the absolute path. */
    path: z.string(),
    format: z.enum(['qcow2', 'raw']),
    sizeBytes: z.int(),
    /** Bytes that its file holds on the disk; null when it can't be read. */
    usedBytes: z.number().nullable(),
    readOnly: z.boolean(),
    cache: driveSettingsSchema.shape.cache.unwrap(),
    io: driveSettingsSchema.shape.io.unwrap(),
    limits: driveLimitsSchema,
    /** The guest has it, or has it like this, only after the next start. */
    appliesAtNextStart: z.boolean(),
    /** The file is not there: an automatic one is made again, empty, at the next start; else the start is refused. */
    missing: z.boolean(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Drive' })
export type DriveView = z.infer<typeof driveViewSchema>

/** What is absent stays as it is. */
const limitsRequestSchema = z.strictObject({
  bytesPerSecond: rate.nullable().optional(),
  operationsPerSecond: rate.nullable().optional(),
  burstBytesPerSecond: rate.nullable().optional(),
  burstOperationsPerSecond: rate.nullable().optional(),
})

/** Without a `path` it is made for the node, sparse. */
export const createDriveSchema = z
  .strictObject({
    id: driveIdSchema,
    path: z.string().min(1).max(4096).optional(),
    sizeBytes: sizeSchema.optional(),
    /** Only the node's own disk is: `true` is refused with the reason. */
    root: z.boolean().default(false),
    readOnly: z.boolean().default(false),
    cache: driveSettingsSchema.shape.cache,
    io: driveSettingsSchema.shape.io,
    limits: limitsRequestSchema.optional(),
  })
  .meta({ id: 'CreateDrive' })
export type CreateDrive = z.infer<typeof createDriveSchema>

export const updateDriveSchema = z
  .strictObject({
    /** Only to grow, and only while the node is stopped. */
    sizeBytes: sizeSchema.optional(),
    readOnly: z.boolean().optional(),
    cache: driveSettingsSchema.shape.cache.unwrap().optional(),
    io: driveSettingsSchema.shape.io.unwrap().optional(),
    limits: limitsRequestSchema.optional(),
  })
  .meta({ id: 'UpdateDrive' })
export type UpdateDrive = z.infer<typeof updateDriveSchema>

export const moveDriveSchema = z
  .strictObject({ toNodeId: z.uuid(), newId: driveIdSchema.optional() })
  .meta({ id: 'MoveDrive' })
export type MoveDrive = z.infer<typeof moveDriveSchema>

/** Beside a drive that no node has any more: who it belonged to. `overlays/drive_<uuid>.json` */
export const driveSidecarSchema = z.object({
  kind: z.literal('sandlabx-drive'),
  schema: z.literal(1),
  record: driveRecordSchema,
  node: z.object({ id: z.string(), name: z.string(), ownerId: userIdSchema }),
})
export type DriveSidecar = z.infer<typeof driveSidecarSchema>
