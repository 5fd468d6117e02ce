import { z } from 'zod'
import { imageSchema } from './image.js'
import { layerSchema } from './layer.js'
import { nodeRecordSchema } from './node.js'
import { operationSchema } from './operation.js'

/** The data inside `state/nodes-state.json`'s envelope, schema 2. */
export const labStateSchema = z.strictObject({
  nodes: z.array(nodeRecordSchema),
  images: z.array(imageSchema),
  layers: z.array(layerSchema),
  /** Finished and running operations, the newest 200. */
  operations: z.array(operationSchema),
})
export type LabState = z.infer<typeof labStateSchema>

export const STATE_SCHEMA = 2

export function emptyState(): LabState {
  return { nodes: [], images: [], layers: [], operations: [] }
}
