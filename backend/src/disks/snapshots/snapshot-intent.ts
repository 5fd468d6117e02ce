import { z } from 'zod'
import { driveIdSchema } from '../../domain/drive.js'
import { layerIdSchema, nodeIdSchema, snapshotIdSchema } from '../../domain/ids.js'
import { backingSchema, layerSchema } from '../../domain/layer.js'
import { memoryFileName, layerFileName, overlayStagingDir, type Layout } from '../../domain/layout.js'
import { snapshotMemorySchema, snapshotSchema } from '../../domain/snapshot.js'
import type { SnapshotRequest } from '../../hosts/engine-disks.js'

/** Who asked, for histories and records. */
export const askerSchema = z.object({ id: z.string().nullable(), login: z.string() })

/** A disk that is frozen: as it was when it was asked for, and the name of what it becomes. */
export const takenDiskSchema = z.object({
  driveId: driveIdSchema,
  file: z.string(),
  backing: backingSchema,
  diskBytes: z.int().positive(),
  layerId: layerIdSchema,
})
export type TakenDisk = z.infer<typeof takenDiskSchema>

/** All that a snapshot will name, before its first step. */
export const createIntentSchema = z.object({
  /** The engine's key, and the folder in staging. */
  id: z.uuid(),
  at: z.iso.datetime(),
  nodeId: nodeIdSchema,
  nodeName: z.string(),
  snapshotId: snapshotIdSchema,
  name: snapshotSchema.shape.name,
  note: z.string(),
  automatic: snapshotSchema.shape.automatic,
  parentId: snapshotSchema.shape.parentId,
  /** The guest ran when it was asked for. */
  live: z.boolean(),
  memory: z.boolean(),
  freeze: z.boolean(),
  disks: z.array(takenDiskSchema).min(1),
  /** Drives that have no file yet, or that the guest does not have yet. */
  leftOut: z.array(driveIdSchema),
  /** Bytes in `overlays/`, without margin. */
  needBytes: z.int().nonnegative(),
  actor: askerSchema,
  /** Found out by the steps. */
  taken: z
    .object({
      layers: z.array(layerSchema),
      memory: snapshotMemorySchema.nullable(),
      consistency: snapshotSchema.shape.consistency,
      operationId: snapshotSchema.shape.operationId,
    })
    .nullable(),
})
export type CreateIntent = z.infer<typeof createIntentSchema>

/** Of one operation, on the overlays' file system; the sweep at the start knows it by the intent. */
export function stagingOf(layout: Layout, { id }: { id: string }): string {
  return `${overlayStagingDir(layout)}/${id}`
}

export function stagedDisk(layout: Layout, intent: { id: string }, driveId: string): string {
  return `${stagingOf(layout, intent)}/${driveId}.qcow2`
}

/** What the engine is asked; names are relative to `overlays/`. */
export function liveRequest(intent: CreateIntent): SnapshotRequest {
  return {
    key: intent.id,
    disks: intent.disks.map(({ driveId, file, layerId }) => ({
      driveId,
      file,
      layerFile: layerFileName(layerId),
      // Where the node's user can reach it, as it could not in our staging.
      freshFile: `.fresh_${layerId}.qcow2`,
    })),
    ...(intent.memory && { memoryFile: memoryFileName(intent.snapshotId) }),
    freeze: intent.freeze,
  }
}
