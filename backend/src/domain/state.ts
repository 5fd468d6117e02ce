import { z } from 'zod'
import { imageSchema } from './image.js'
import { nodeRecordSchema } from './node.js'
import { operationSchema } from './operation.js'

/** The data inside `state/nodes-state.json`'s envelope, schema 1. */
export const labStateSchema = z.strictObject({
  nodes: z.array(nodeRecordSchema),
  images: z.array(imageSchema),
  /** Finished and running operations, the newest 200. */
  operations: z.array(operationSchema),
})
export type LabState = z.infer<typeof labStateSchema>

export const STATE_SCHEMA = 1

export function emptyState(): LabState {
  return { nodes: [], images: [], operations: [] }
}
