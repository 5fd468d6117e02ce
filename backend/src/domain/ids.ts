import { z } from 'zod'

/** Lower-case UUIDs, branded by what they name, so that one can't be passed for another. */
export const nodeIdSchema = z.uuid().brand<'NodeId'>()
export const imageIdSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'lower-case letters, digits, dots, dashes; at most 63')
  .brand<'ImageId'>()
export const userIdSchema = z.uuid().brand<'UserId'>()
/** A frozen disk layer that overlays stand on. */
export const layerIdSchema = z.uuid().brand<'LayerId'>()
export const snapshotIdSchema = z.uuid().brand<'SnapshotId'>()
export const operationIdSchema = z.uuid().brand<'OperationId'>()

export type NodeId = z.infer<typeof nodeIdSchema>
export type ImageId = z.infer<typeof imageIdSchema>
export type UserId = z.infer<typeof userIdSchema>
export type LayerId = z.infer<typeof layerIdSchema>
export type SnapshotId = z.infer<typeof snapshotIdSchema>
export type OperationId = z.infer<typeof operationIdSchema>
