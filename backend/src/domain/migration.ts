import { z } from 'zod'

/** Where an older SandLabX is looked for, and what of it is to come over. */
export const migrateWishSchema = z.object({
  /** Absolute folders, each laid out as an old installation: `nodes-state.json`, `overlays/`, `images/`, a `*.sql` dump. */
  from: z.array(z.string().startsWith('/').max(4096)).max(64).default([]),
  /** Login of the account that gets nodes without an owner; absent: the first administrator. */
  owner: z.string().max(64).optional(),
  /** Old names or ids of nodes that stay behind. */
  without: z.array(z.string().max(400)).max(10_000).default([]),
})
export type MigrateWish = z.infer<typeof migrateWishSchema>

/** What the command line asks of the migration's own process. */
export const migrateRequestSchema = z.discriminatedUnion('verb', [
  migrateWishSchema.extend({ verb: z.literal('plan') }),
  migrateWishSchema.extend({ verb: z.literal('run'), token: z.string() }),
  z.object({ verb: z.literal('discard'), report: z.string() }),
])
export type MigrateRequest = z.infer<typeof migrateRequestSchema>

const movedNodeSchema = z.object({
  /** Ours: the old one where that is a UUID. */
  id: z.uuid(),
  /** In the lab; null while it stays behind. */
  name: z.string().nullable(),
  oldName: z.string(),
  /** Login of its owner; null: whoever gets nodes without one. */
  owner: z.string().nullable(),
  /** `copy`: with its disk; `empty`: it never ran, a fresh disk is made; `here`: it came over before. */
  action: z.enum(['copy', 'empty', 'here', 'left-out']),
  /** Why it is left out. */
  reason: z.string().nullable(),
  /** The old disk, and the bytes that it holds. */
  disk: z.string().nullable(),
  diskBytes: z.number(),
  /** Id of its base image here. */
  image: z.string().nullable(),
  /** What is not as it was, as sentences. */
  notes: z.array(z.string()),
})
export type MovedNode = z.infer<typeof movedNodeSchema>

export const migrationPlanSchema = z.object({
  sources: z.array(z.object({ path: z.string(), what: z.string() })),
  nodes: z.array(movedNodeSchema),
  images: z.array(
    z.object({ id: z.string(), from: z.string(), bytes: z.number(), action: z.enum(['import', 'here']) }),
  ),
  accounts: z.array(
    z.object({ login: z.string(), email: z.string(), role: z.string(), action: z.enum(['make', 'here']) }),
  ),
  /** Disks that no old record names: they stay where they are. */
  filesWithoutRecord: z.array(z.object({ path: z.string(), bytes: z.number() })),
  warnings: z.array(z.string()),
  /** Room that it takes, at most. */
  requiredBytes: z.number(),
  /** Of what was looked at: a run over something else is refused. */
  token: z.string(),
})
export type MigrationPlan = z.infer<typeof migrationPlanSchema>

export const migrationReportSchema = z.object({
  plan: migrationPlanSchema,
  at: z.iso.datetime(),
  /** Disks that were compared with the old ones and passed `qemu-img check`. */
  verifiedDisks: z.int(),
  /** Nodes in the lab before and after. */
  nodesBefore: z.int(),
  nodesAfter: z.int(),
  /** Where the old records are kept, and this report; null when nothing was to be done. */
  backup: z.string().nullable(),
  /** One-time passwords of the accounts that were made: told here, and kept in the backup folder, mode 0600. */
  passwords: z.array(z.object({ login: z.string(), password: z.string() })),
  /** Old disks that came over, compared: only these are offered for deletion. */
  removable: z.array(z.object({ path: z.string(), bytes: z.number(), nodeId: z.string() })),
})
export type MigrationReport = z.infer<typeof migrationReportSchema>

export const migrationDiscardSchema = z.object({
  removed: z.array(z.string()),
  kept: z.array(z.object({ path: z.string(), reason: z.string() })),
  freedBytes: z.number(),
})
export type MigrationDiscard = z.infer<typeof migrationDiscardSchema>
