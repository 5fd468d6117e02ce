import { z } from 'zod'
import { snapshotScheduleSchema } from './snapshot.js'

const NEVER = snapshotScheduleSchema.parse({})

/** What an administrator sets for the whole lab. */
export const labSettingsSchema = z
  .object({
    id: z.literal('lab').default('lab'),
    /** Days after which what is in the trash is removed for good; null: never by itself. */
    trashDays: z.int().min(0).max(3650).nullable().default(7),
    /** Automatic snapshots of every node that has no schedule of its own. */
    snapshotSchedule: snapshotScheduleSchema.default(NEVER),
    /** Looks at all storage each night at this hour, 0 to 23 in the server's time; null: not by itself. */
    verifyHour: z.int().min(0).max(23).nullable().default(3),
    /** Records what the consoles of every node show that has no choice of its own. What people type is never recorded. */
    recordConsoles: z.boolean().default(false),
    /** Days after which a recording is removed for good; null: never by itself. */
    recordingDays: z.int().min(1).max(3650).nullable().default(30),
    /** Days after which it is forgotten who had which console open; null: never. */
    consoleHistoryDays: z.int().min(1).max(3650).nullable().default(365),
  })
  .meta({ id: 'LabSettings' })
export type LabSettings = z.infer<typeof labSettingsSchema>

const { trashDays, snapshotSchedule, verifyHour, recordConsoles, recordingDays, consoleHistoryDays } =
  labSettingsSchema.shape

/** What is absent stays as it is; null is a value. */
export const updateSettingsSchema = z
  .strictObject({
    trashDays: trashDays.unwrap().optional(),
    snapshotSchedule: snapshotSchedule.unwrap().optional(),
    verifyHour: verifyHour.unwrap().optional(),
    recordConsoles: recordConsoles.unwrap().optional(),
    recordingDays: recordingDays.unwrap().optional(),
    consoleHistoryDays: consoleHistoryDays.unwrap().optional(),
  })
  .meta({ id: 'UpdateLabSettings' })
export type UpdateSettings = z.infer<typeof updateSettingsSchema>
