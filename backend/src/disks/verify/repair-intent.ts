import { z } from 'zod'
import { driveRecordSchema } from '../../domain/drive.js'
import { imageIdSchema, nodeIdSchema, userIdSchema } from '../../domain/ids.js'
import { fingerprintSchema, imageSchema } from '../../domain/image.js'

const common = {
  /** Of this repair: names on the disk derive from it. */
  id: z.uuid(),
  at: z.iso.datetime(),
  actor: z.object({ id: userIdSchema.nullable(), login: z.string() }),
  /** Whose finding it was; null: of a base image or a layer. */
  nodeId: nodeIdSchema.nullable(),
  /** What is repaired, as records show it. */
  path: z.string(),
}

/** What a repair does by itself. Restoring, and dropping a record, are the verbs of others. */
export const repairIntentSchema = z.discriminatedUnion('repair', [
  z.object({
    ...common,
    repair: z.literal('recreate-drive'),
    nodeId: nodeIdSchema,
    drive: driveRecordSchema,
    /** A layer's file name in `overlays/`; null: it is empty. */
    backingFile: z.string().nullable(),
    /** Its name in `overlays/.staging/` until it is done: what the journal names is not swept at the start. */
    staging: z.string(),
  }),
  z.object({
    ...common,
    repair: z.literal('attach'),
    nodeId: nodeIdSchema,
    /** File names in `overlays/`. */
    from: z.string(),
    to: z.string(),
  }),
  z.object({
    ...common,
    repair: z.literal('rebase'),
    imageId: imageIdSchema,
    /** Its record; of the one that has the content, when it has none any more. */
    image: imageSchema,
    /** File names in `images/`: where the content is, and where it is to be; the same: it only has another time. */
    from: z.string(),
    to: z.string(),
    /** Where what stands there now is kept. */
    aside: z.string(),
    /** What nodes were made over. Once the content was read: with the time that the file has now. */
    fingerprint: fingerprintSchema,
  }),
  z.object({
    ...common,
    repair: z.literal('write-sidecar'),
    subject: z.object({ type: z.enum(['node', 'image', 'layer']), id: z.string() }),
  }),
])
export type RepairIntent = z.infer<typeof repairIntentSchema>
export type RepairOf<R extends RepairIntent['repair']> = Extract<RepairIntent, { repair: R }>
