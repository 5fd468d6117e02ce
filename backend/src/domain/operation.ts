import { z } from 'zod'
import { operationIdSchema } from './ids.js'

export const OPERATION_KINDS = [
  'image.build',
  'image.pull',
  'image.import',
  'image.delete',
  'node.create',
  'node.clone',
  'node.send',
  'node.receive',
  'node.start',
  'node.stop',
  'node.restart',
  'node.suspend',
  'node.resume',
  'node.discardMemory',
  'node.delete',
  'node.reset',
  'node.attach',
  'node.testBoot',
  'snapshot.create',
  'snapshot.restore',
  'snapshot.delete',
  'snapshot.flatten',
  'snapshot.export',
  'drive.create',
  'drive.update',
  'drive.delete',
  'drive.move',
  'trash.restore',
  'trash.purge',
  'storage.discard',
  'storage.verify',
  'storage.repair',
  'lab.migrate',
] as const
export const OPERATION_STATES = ['running', 'succeeded', 'failed', 'cancelled', 'lost'] as const

/** Something that an operation makes or takes away: what the log of a transaction names. */
export const operationResourceSchema = z.object({
  type: z.enum(['disk', 'record', 'layer', 'image', 'folder', 'trash', 'snapshot', 'drive', 'memory']),
  /** A path or an id. */
  id: z.string(),
  /** Where it is once committed, when that is another place. */
  finalPath: z.string().optional(),
})

/** One of the many things that a bulk operation works on. */
export const operationItemSchema = z.object({
  name: z.string(),
  /** Once it is known. */
  id: z.string().nullable(),
  state: z.enum(['waiting', 'running', 'succeeded', 'failed', 'undone']),
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }).nullable(),
})
export type OperationItem = z.infer<typeof operationItemSchema>

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
    /** Of a transaction: whole, or taken back; null while it is open, and for what is not one. */
    outcome: z.enum(['committed', 'rolled-back']).nullable(),
    resources: z.array(operationResourceSchema),
    items: z.array(operationItemSchema),
    /** The client's Idempotency-Key and the sha256 of what it asked for; null when it sent none. */
    request: z.object({ key: z.string(), hash: z.string() }).nullable(),
  })
  .meta({ id: 'Operation' })
export type Operation = z.infer<typeof operationSchema>
export type OperationKind = (typeof OPERATION_KINDS)[number]
