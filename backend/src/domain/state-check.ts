import { z } from 'zod'

/** What the state file, the one before it and the files that they name are found to be. Nothing was changed. */
export const stateCheckSchema = z.object({
  at: z.iso.datetime(),
  ok: z.boolean(),
  /** What a start would use: `none` is safe mode. */
  usable: z.enum(['current', 'previous', 'none']),
  /** In the order in which they were looked at. `subject` in words: `nodes-state.json`, `node web`. */
  lines: z.array(z.object({ subject: z.string(), ok: z.boolean(), message: z.string() })),
})
export type StateCheck = z.infer<typeof stateCheckSchema>
export type StateCheckLine = StateCheck['lines'][number]

/** What takes the present file's place: the file before it, or a backup by its absolute path. */
export const stateSourceSchema = z.union([
  z.strictObject({ previous: z.literal(true) }),
  z.strictObject({ from: z.string().min(1).max(4096) }),
])
export type StateSource = z.infer<typeof stateSourceSchema>

const changesSchema = z.object({ comes: z.array(z.string()), goes: z.array(z.string()), changes: z.array(z.string()) })

/** What a restore would do. */
export const stateRestorePlanSchema = z.object({
  /** Absolute paths: what is read, what it replaces, and where that is kept; null when there is none. */
  from: z.string(),
  to: z.string(),
  aside: z.string().nullable(),
  /** Of the file that is read. */
  revision: z.int(),
  schema: z.int(),
  /** By their names. */
  nodes: changesSchema,
  images: changesSchema,
  snapshots: changesSchema,
  warnings: z.array(z.string()),
  /** Of both files as they were looked at: a restore of something else is refused. */
  token: z.string(),
})
export type StateRestorePlan = z.infer<typeof stateRestorePlanSchema>

const layoutSchema = z.object({
  images: z.string(),
  overlays: z.string(),
  state: z.string(),
  run: z.string(),
  stateFile: z.string(),
})

/** What the command line asks of the state's own process. */
export const stateRequestSchema = z.discriminatedUnion('verb', [
  z.strictObject({ verb: z.literal('check'), layout: layoutSchema }),
  z.strictObject({ verb: z.literal('plan'), layout: layoutSchema, source: stateSourceSchema }),
  z.strictObject({ verb: z.literal('restore'), layout: layoutSchema, source: stateSourceSchema, token: z.string() }),
])
export type StateRequest = z.infer<typeof stateRequestSchema>
