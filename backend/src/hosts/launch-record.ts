import { randomBytes } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { nodeIdSchema } from '../domain/ids.js'

/**
 * `run/<node>/launch.json`: what was started there, so that a later backend knows its processes. Written before the
 * process exists (`process` null), again when it does, when a stop begins and when it has ended. Not durable on
 * purpose: after a power cut nothing runs that it could describe.
 */
const launchRecordSchema = z.object({
  version: z.literal(1),
  id: nodeIdSchema,
  generation: z.int().nonnegative(),
  accelerator: z.enum(['kvm', 'tcg']),
  qemuVersion: z.string(),
  startedAt: z.iso.datetime(),
  /** The host's boot: process start times mean nothing after the next one. */
  bootId: z.string(),
  process: z.object({ pid: z.int().positive(), startTime: z.string(), exe: z.string().nullable() }).nullable(),
  /** It runs in a container of its own, whose processes have no numbers here. */
  contained: z.boolean().default(false),
  /** A stop was asked for: an end after this is no crash. */
  stopAsked: z.boolean(),
  /** We hold the guest for a moment while its disk is put in order: a backend that finds it so lets it go. */
  held: z.boolean().default(false),
  /** Its guest may be frozen by us, or its clock be behind: told to its agent as soon as that answers. */
  agentDue: z.boolean().default(false),
  /** We save its memory to this file: a backend that finds it so ends it when the file is whole, else lets it go. */
  saving: z.string().nullable().default(null),
  /** It was given its saved memory, and does not run before it is resumed. */
  waits: z.boolean().default(false),
  ended: z
    .object({
      at: z.iso.datetime(),
      how: z.enum(['guest', 'asked', 'forced', 'crashed']),
      reason: z.string(),
    })
    .nullable(),
  args: z.array(z.string()),
})
export type LaunchRecord = z.infer<typeof launchRecordSchema>

/** Whether it says which QEMU it is: before that only the start knows. Pure. */
export function isOnRecord({ process, contained }: LaunchRecord): boolean {
  return process !== null || contained
}

export async function writeLaunchRecord(path: string, record: LaunchRecord): Promise<void> {
  const staging = `${path}.${randomBytes(4).toString('hex')}`
  try {
    await writeFile(staging, JSON.stringify(record), { flag: 'wx', mode: 0o600 })
    await rename(staging, path)
  } catch (error) {
    await rm(staging, { force: true })
    throw error
  }
}

/** Undefined when there is none, or none that can be understood. */
export async function readLaunchRecord(path: string): Promise<LaunchRecord | undefined> {
  try {
    return launchRecordSchema.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === undefined || code === 'ENOENT' || code === 'ENOTDIR') return undefined // damaged, or not there
    throw error
  }
}
