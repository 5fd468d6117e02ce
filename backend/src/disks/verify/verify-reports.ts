import { z } from 'zod'
import { nodeIdSchema, operationIdSchema } from '../../domain/ids.js'
import { reportsDir, type Layout } from '../../domain/layout.js'
import { verifyReportSchema } from '../../domain/storage.js'
import { keptReports, type KeptReports } from '../kept-reports.js'

/** `state/reports/<operationId>.json` */
const keptReportSchema = z.object({
  kind: z.literal('sandlabx-report'),
  schema: z.literal(1),
  operationId: operationIdSchema,
  /** Null: everything was looked at. */
  nodeId: nodeIdSchema.nullable(),
  report: verifyReportSchema,
})
export type KeptReport = z.infer<typeof keptReportSchema>

/** The newest 20 of what verifications have found, and the newest of everything however old it is. */
export function verifyReports(layout: Layout): KeptReports<KeptReport> {
  return keptReports({
    folder: reportsDir(layout),
    schema: keptReportSchema,
    count: 20,
    at: ({ report }) => report.at,
    spare: (all) => all.find(({ nodeId }) => nodeId === null),
  })
}
