import { z } from 'zod'
import { cloneIntentSchema } from './clone-intent.js'

/** All that a send will name here. The token is in memory only: a send does not go on by itself after a restart. */
export const sendIntentSchema = cloneIntentSchema
  .pick({
    id: true,
    at: true,
    source: true,
    snapshotId: true,
    layerName: true,
    layerId: true,
    start: true,
    actor: true,
  })
  .extend({
    /** Of the other SandLabX. */
    url: z.string(),
    /** What the node is called there. */
    name: z.string(),
    replace: z.enum(['idempotent', 'force']).nullable(),
    /** Under which the other side finds again what it has of this. */
    key: z.string(),
    /** Bytes in `overlays/`, without margin. */
    needBytes: z.int().nonnegative(),
  })
export type SendIntent = z.infer<typeof sendIntentSchema>
