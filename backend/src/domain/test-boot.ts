import { z } from 'zod'
import { nodeIdSchema, snapshotIdSchema } from './ids.js'
import type { Operation } from './operation.js'

/** What an ephemeral node boots: exactly one of them. Nothing is written to it. */
export const testBootSchema = z
  .strictObject({
    nodeId: nodeIdSchema.optional(),
    snapshotId: snapshotIdSchema.optional(),
    /** An orphan, or a disk in a folder that an administrator has allowed, as with `attach`. */
    path: z.string().max(4096).optional(),
    /** Text on the serial console that tells that it has booted. Absent: a login prompt, or the guest's agent. */
    expect: z.string().min(1).max(200).optional(),
    timeoutSeconds: z.int().min(5).max(1800).default(180),
    memoryMib: z.int().min(64).max(65_536).optional(),
  })
  .refine(
    ({ nodeId, snapshotId, path }) => [nodeId, snapshotId, path].filter((one) => one !== undefined).length === 1,
    {
      message: 'exactly one of nodeId, snapshotId, path',
    },
  )
  .meta({ id: 'TestBoot' })
export type TestBoot = z.infer<typeof testBootSchema>

export const TEST_BOOT_STATES = ['pending', 'success', 'failure'] as const
export type TestBootState = (typeof TEST_BOOT_STATES)[number]

/** The only place where the state of an operation becomes one of a test boot. */
const STATE_OF: Record<Operation['state'], TestBootState> = {
  running: 'pending',
  succeeded: 'success',
  failed: 'failure',
  cancelled: 'failure',
  lost: 'failure',
}

export function testBootState(state: Operation['state']): TestBootState {
  return STATE_OF[state]
}

export const testBootReportSchema = z
  .object({
    operationId: z.string(),
    /** What was booted, in words. */
    title: z.string(),
    state: z.enum(TEST_BOOT_STATES),
    /** `login`: a login prompt; `agent`: the guest's agent answered; `text`: the given text; null: nothing yet, or at all. */
    seen: z.enum(['login', 'agent', 'text']).nullable(),
    message: z.string(),
    /** From the start of QEMU; null while pending. */
    tookMs: z.number().nullable(),
    serialTail: z.array(z.string()),
    hasScreenshot: z.boolean(),
    at: z.iso.datetime(),
  })
  .meta({ id: 'TestBootReport' })
export type TestBootReport = z.infer<typeof testBootReportSchema>
