import { z } from 'zod'
import { nodeIdSchema, snapshotIdSchema } from './ids.js'

/** What an ephemeral node boots: exactly one of them. Nothing is written to it. */
export const testBootSchema = z
  .strictObject({
    nodeId: nodeIdSchema.optional(),
    snapshotId: snapshotIdSchema.optional(),
    /** An orphan, or a disk in a folder that an administrator has allowed, as with `attach`. */
    path: z.string().max(4096).optional(),
    /** Text on the serial console that tells that it has booted; a regular expression. Absent: a login prompt. */
    expect: z.string().min(1).max(200).optional(),
    timeoutSeconds: z.int().min(5).max(1800).default(180),
    memoryMib: z.int().min(64).max(65_536).optional(),
  })
  .meta({ id: 'TestBoot' })
export type TestBoot = z.infer<typeof testBootSchema>

export const testBootReportSchema = z
  .object({
    operationId: z.string(),
    /** What was booted, in words. */
    title: z.string(),
    state: z.enum(['pending', 'success', 'failure']),
    /** `login`: a login prompt; `agent`: the guest's agent answered; `pattern`: the given text. */
    seen: z.enum(['login', 'agent', 'pattern']).nullable(),
    message: z.string(),
    /** From the start of QEMU; null while pending. */
    tookMs: z.number().nullable(),
    serialTail: z.array(z.string()),
    hasScreenshot: z.boolean(),
    at: z.iso.datetime(),
  })
  .meta({ id: 'TestBootReport' })
export type TestBootReport = z.infer<typeof testBootReportSchema>
