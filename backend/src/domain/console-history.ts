import { z } from 'zod'
import { CONSOLE_KINDS, CONSOLE_MODES } from './console-codes.js'
import { nodeIdSchema, userIdSchema } from './ids.js'

/** One console that somebody had open, or has. */
export const consoleVisitSchema = z
  .object({
    id: z.uuid(),
    nodeId: nodeIdSchema,
    /** As it was called then. */
    nodeName: z.string(),
    userId: userIdSchema,
    login: z.string(),
    kind: z.enum(CONSOLE_KINDS),
    /** What carried it: guacd, or SandLabX itself. */
    engine: z.enum(['direct', 'guacamole']),
    mode: z.enum(CONSOLE_MODES),
    /** Where it was opened from; null where the reader may not know. */
    address: z.string().nullable(),
    /** Some of it was recorded. */
    recorded: z.boolean(),
    openedAt: z.iso.datetime(),
    /** Null while it is open. */
    closedAt: z.iso.datetime().nullable(),
    /** `lost`: SandLabX was killed while it was open; `closedAt` is when it was last known to be open. */
    ended: z.enum(['closed', 'lost']).nullable(),
  })
  .meta({ id: 'ConsoleVisit' })
export type ConsoleVisit = z.infer<typeof consoleVisitSchema>

export const consoleHistorySchema = z.object({
  visits: z.array(consoleVisitSchema),
  /** For `before`, to read on; null at the end. */
  next: z.string().nullable(),
})
