import { z } from 'zod'
import { driveViewSchema } from '../domain/drive.js'
import { labSettingsSchema } from '../domain/settings.js'
import { snapshotViewSchema } from '../domain/snapshot.js'
import { orphanSchema, spaceReportSchema, verifyReportSchema } from '../domain/storage.js'
import { testBootReportSchema } from '../domain/test-boot.js'
import { trashViewSchema } from '../domain/trash.js'

/** The bodies that the server answers with about storage, by what is in them. */
export const trashAnswer = z.object({
  entries: z.array(trashViewSchema),
  /** Null: nothing is removed for good by itself. */
  retentionDays: z.number().nullable(),
  totalBytes: z.number(),
})
export const orphansAnswer = z.object({ orphans: z.array(orphanSchema), totalBytes: z.number() })
export const reportAnswer = z.object({ report: verifyReportSchema })
export const spaceAnswer = z.object({ space: spaceReportSchema })
export const snapshotsAnswer = z.object({ snapshots: z.array(snapshotViewSchema) })
export const snapshotAnswer = z.object({ snapshot: snapshotViewSchema })
export const drivesAnswer = z.object({ drives: z.array(driveViewSchema) })
export const driveAnswer = z.object({ drive: driveViewSchema })
export const testBootAnswer = z.object({ report: testBootReportSchema })
export const settingsAnswer = z.object({ settings: labSettingsSchema })
