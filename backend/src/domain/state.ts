import { z } from 'zod'
import { imageSchema } from './image.js'
import { layerSchema } from './layer.js'
import { nodeRecordSchema } from './node.js'
import { operationSchema } from './operation.js'
import { labSettingsSchema } from './settings.js'
import { snapshotSchema } from './snapshot.js'

/** The data inside `state/nodes-state.json`'s envelope, schema 4. */
export const labStateSchema = z.strictObject({
  nodes: z.array(nodeRecordSchema),
  images: z.array(imageSchema),
  layers: z.array(layerSchema),
  snapshots: z.array(snapshotSchema),
  /** One record. */
  settings: z.array(labSettingsSchema).length(1),
  /** Finished and running operations, the newest 200. */
  operations: z.array(operationSchema),
})
export type LabState = z.infer<typeof labStateSchema>

export const STATE_SCHEMA = 4

export function emptyState(): LabState {
  return { nodes: [], images: [], layers: [], snapshots: [], settings: [labSettingsSchema.parse({})], operations: [] }
}
