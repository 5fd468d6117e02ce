import { z } from 'zod'
import { operationIdSchema } from './ids.js'
import { imageSchema } from './image.js'
import { nodeNameSchema, nodeRecordSchema } from './node.js'

/** How a node goes from one SandLabX to another: begin, upload each file by tus, commit. Both sides speak this. */

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, '64 lower-case hex digits')

export const TRANSFER_FILES = ['disk', 'kernel', 'initrd'] as const
export type TransferFile = (typeof TRANSFER_FILES)[number]

const fileSchema = z.strictObject({ sha256: sha256Schema, sizeBytes: z.int().positive() })

/** The sender's Idempotency-Key: the same key, from the same account, goes on with the same transfer. */
const keySchema = z.string().regex(/^[\x21-\x7e]{1,200}$/, '1 to 200 visible ASCII characters')

const record = nodeRecordSchema.shape

export const nodeTransferSchema = z.strictObject({
  kind: z.literal('node'),
  key: keySchema,
  node: z.strictObject({
    name: nodeNameSchema,
    cpus: record.cpus,
    memoryMib: record.memoryMib,
    diskBytes: record.diskBytes,
    internet: z.boolean(),
    agent: record.agent,
    devices: record.devices,
    guest: record.guest,
  }),
  /** Its name where it comes from, for its history. */
  from: z.string().max(300),
  /** Checksum of the base image whose kernel, firmware and words about signing in it needs. */
  imageSha256: sha256Schema,
  /** A qcow2 that needs no other file. */
  disk: fileSchema,
  /** Bytes that the disk takes once it is unpacked. */
  unpackedBytes: z.int().nonnegative(),
  /** A node of that name moves to the trash. */
  replace: z.enum(['idempotent', 'force']).nullable(),
  start: z.boolean(),
})
export type NodeTransfer = z.infer<typeof nodeTransferSchema>

const image = imageSchema.shape

export const imageTransferSchema = z.strictObject({
  kind: z.literal('image'),
  key: keySchema,
  image: z.strictObject({
    id: image.id,
    title: image.title,
    description: image.description,
    version: image.version,
    firmware: image.firmware,
    cloudInit: image.cloudInit,
    guestAgent: image.guestAgent,
    sshServer: image.sshServer,
    loginNotes: image.loginNotes,
    minimumMemoryMib: image.minimumMemoryMib,
    /** With a kernel: what it is told. */
    commandLine: z.string().max(2000).nullable(),
  }),
  disk: fileSchema,
  kernel: fileSchema.nullable(),
  initrd: fileSchema.nullable(),
})
export type ImageTransfer = z.infer<typeof imageTransferSchema>

export const beginTransferSchema = z
  .discriminatedUnion('kind', [nodeTransferSchema, imageTransferSchema])
  .meta({ id: 'BeginTransfer' })
export type BeginTransfer = z.infer<typeof beginTransferSchema>

/** A transfer as the receiving side answers it. */
export const transferSchema = z
  .object({
    id: z.uuid(),
    /** What is there of each file: null before its upload has begun. */
    files: z.array(
      z.object({
        name: z.enum(TRANSFER_FILES),
        sizeBytes: z.int(),
        uploadId: z.string().nullable(),
        offset: z.int().nonnegative(),
      }),
    ),
    /** Set once it has been committed: look there how it goes, nothing needs to be sent any more. */
    operationId: operationIdSchema.nullable(),
  })
  .meta({ id: 'Transfer' })
export type Transfer = z.infer<typeof transferSchema>

/** The files that a transfer consists of. */
export function filesOfTransfer(transfer: BeginTransfer): { name: TransferFile; sha256: string; sizeBytes: number }[] {
  const files: [TransferFile, { sha256: string; sizeBytes: number } | null][] =
    transfer.kind === 'node'
      ? [['disk', transfer.disk]]
      : [
          ['disk', transfer.disk],
          ['kernel', transfer.kernel],
          ['initrd', transfer.initrd],
        ]
  return files.flatMap(([name, file]) => (file ? [{ name, ...file }] : []))
}
