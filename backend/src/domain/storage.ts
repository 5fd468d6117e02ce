import { z } from 'zod'
import { imageIdSchema, nodeIdSchema, userIdSchema } from './ids.js'

/** A disk file in the managed folders that no record names and no named file stands on; or the memory of a guest. */
export const orphanSchema = z
  .object({
    /** `/overlays/…` or `/images/…`, as records show paths. */
    path: z.string(),
    /** Bytes on the disk, and as the file's length. */
    usedBytes: z.number(),
    sizeBytes: z.number(),
    /** Of the disk in it; null when its header can't be read. */
    virtualSizeBytes: z.number().nullable(),
    format: z.enum(['qcow2', 'raw', 'unknown']),
    changedAt: z.iso.datetime(),
    kind: z.enum(['disk', 'snapshot', 'drive', 'memory', 'other']),
    /** From the record beside it. */
    formerly: z
      .object({ nodeName: z.string(), nodeId: nodeIdSchema, ownerId: userIdSchema, ownerLogin: z.string().nullable() })
      .nullable(),
    /** The snapshot's name, where it was one. */
    snapshotName: z.string().nullable(),
    /** What it stands on, and whether that is there; null: it stands alone. */
    backing: z.object({ path: z.string(), present: z.boolean() }).nullable(),
    /** Why it can't be attached; null when nothing speaks against it. */
    fault: z.string().nullable(),
  })
  .meta({ id: 'Orphan' })
export type Orphan = z.infer<typeof orphanSchema>

/** With the record beside the disk the whole former node comes back; else `config` says what it is. */
export const attachStorageSchema = z
  .strictObject({
    path: z.string().min(1).max(4096),
    /** Absent: its former one, or the config's. */
    name: z.string().max(63).optional(),
    /** YAML in the form that `sandlabx show` prints. At most 64 KiB. */
    config: z.string().max(65_536).optional(),
    ownerId: userIdSchema.optional(),
    /** Its base image is missing: stand on this one, whose content must be the same. */
    rebaseTo: imageIdSchema.optional(),
  })
  .meta({ id: 'AttachStorage' })
export type AttachStorage = z.infer<typeof attachStorageSchema>

export const addFromConfigSchema = z
  .strictObject({
    config: z.string().min(1).max(65_536),
    /** Instead of the config's. */
    name: z.string().max(63).optional(),
    ownerId: userIdSchema.optional(),
    start: z.boolean().default(false),
  })
  .meta({ id: 'AddFromConfig' })
export type AddFromConfig = z.infer<typeof addFromConfigSchema>

/** `files`: they are there. `chain`: headers, sizes, what they stand on, records. `full`: their content, too. */
export const VERIFY_LEVELS = ['files', 'chain', 'full'] as const
export type VerifyLevel = (typeof VERIFY_LEVELS)[number]

export const REPAIRS = [
  'recreate-drive',
  'restore-from-trash',
  'restore-snapshot',
  'rebase',
  'attach',
  'drop-record',
  'write-sidecar',
] as const
export type Repair = (typeof REPAIRS)[number]

export const findingSchema = z.object({
  /** What was looked at: `exists`, `header`, `size`, `chain`, `fingerprint`, `content`, `sidecar`. */
  check: z.enum(['exists', 'header', 'size', 'chain', 'fingerprint', 'content', 'sidecar']),
  /** As records show it. */
  path: z.string(),
  ok: z.boolean(),
  /** In words: `exists`, `MISSING`, `the base image was changed`. */
  message: z.string(),
  repairs: z.array(
    z.object({
      repair: z.enum(REPAIRS),
      /** What it would do, and what is lost by it, in words. */
      title: z.string(),
      /** What the repair needs besides: a trash entry, a snapshot, an image. */
      argument: z.string().nullable(),
    }),
  ),
})
export type Finding = z.infer<typeof findingSchema>

export const verifyReportSchema = z
  .object({
    at: z.iso.datetime(),
    level: z.enum(VERIFY_LEVELS),
    ok: z.boolean(),
    /** Things looked at: nodes, images, layers. */
    subjects: z.array(
      z.object({
        type: z.enum(['node', 'image', 'layer', 'registry']),
        id: z.string(),
        name: z.string(),
        ok: z.boolean(),
        findings: z.array(findingSchema),
      }),
    ),
  })
  .meta({ id: 'VerifyReport' })
export type VerifyReport = z.infer<typeof verifyReportSchema>

/** Without `nodeId` everything. */
export const verifyRequestSchema = z
  .strictObject({ nodeId: nodeIdSchema.optional(), level: z.enum(VERIFY_LEVELS).default('chain') })
  .meta({ id: 'VerifyStorage' })
export type VerifyRequest = z.infer<typeof verifyRequestSchema>

export const repairRequestSchema = z
  .strictObject({
    /** Absent: of a base image or a layer, which `path` tells. */
    nodeId: nodeIdSchema.optional(),
    repair: z.enum(REPAIRS),
    /** The finding's. */
    path: z.string().max(4096),
    argument: z.string().max(200).optional(),
  })
  .meta({ id: 'RepairStorage' })
export type RepairRequest = z.infer<typeof repairRequestSchema>

/** Where the room on the disk is. All in bytes on the disk, each file counted once. */
export const spaceReportSchema = z
  .object({
    at: z.iso.datetime(),
    fileSystems: z.array(
      z.object({ path: z.string(), totalBytes: z.number(), freeBytes: z.number(), reservedBytes: z.number() }),
    ),
    nodes: z.array(
      z.object({
        id: nodeIdSchema,
        name: z.string(),
        ownerLogin: z.string(),
        usedBytes: z.number(),
        drivesBytes: z.number(),
        virtualBytes: z.number(),
      }),
    ),
    images: z.array(z.object({ id: imageIdSchema, title: z.string(), usedBytes: z.number(), nodes: z.int() })),
    /** Named ones with their nodes; what several stand on without a name is `shared`. */
    snapshots: z.array(
      z.object({ id: z.string(), name: z.string(), nodeName: z.string(), usedBytes: z.number(), shared: z.boolean() }),
    ),
    trashBytes: z.number(),
    orphanBytes: z.number(),
    /** Half-done work: staging, uploads. */
    stagingBytes: z.number(),
    /** What consoles have shown. */
    recordingsBytes: z.number(),
    /** All virtual sizes over what there is room for: 1.5 means that full disks would not fit. */
    overcommit: z.number(),
  })
  .meta({ id: 'SpaceReport' })
export type SpaceReport = z.infer<typeof spaceReportSchema>
