import { z } from 'zod'
import { operationIdSchema } from './ids.js'

export const OPERATION_KINDS = [
  'image.build',
  'image.pull',
  'image.import',
  'image.delete',
  'node.create',
  'node.start',
  'node.stop',
  'node.restart',
  'node.delete',
] as const
export const OPERATION_STATES = ['running', 'succeeded', 'failed', 'cancelled', 'lost'] as const

/** One long action with progress. `lost`: the backend ended in the middle; look at the object, assume nothing. */
export const operationSchema = z
  .object({
    id: operationIdSchema,
    kind: z.enum(OPERATION_KINDS),
    /** What it is about, in words: `Build debian-12`. */
    title: z.string(),
    state: z.enum(OPERATION_STATES),
    actorId: z.string().nullable(),
    actorLogin: z.string(),
    /** The object that it makes or changes. */
    target: z.object({ type: z.enum(['node', 'image']), id: z.string() }).nullable(),
    /** The step under way, in words. */
    step: z.string(),
    /** 0 to 1; null while it can't be known. */
    progress: z.number().min(0).max(1).nullable(),
    bytesDone: z.number().nullable(),
    bytesTotal: z.number().nullable(),
    log: z.array(z.object({ at: z.iso.datetime(), text: z.string() })),
    error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }).nullable(),
    cancellable: z.boolean(),
    startedAt: z.iso.datetime(),
    endedAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Operation' })
export type Operation = z.infer<typeof operationSchema>
export type OperationKind = (typeof OPERATION_KINDS)[number]
