import { testBootsDir, type Layout } from '../../domain/layout.js'
import { testBootReportSchema, type TestBootReport } from '../../domain/test-boot.js'
import { keptReports, type KeptReports } from '../kept-reports.js'

/** `state/test-boots/<operationId>.json`, with the account that may see it. */
const keptSchema = testBootReportSchema.extend({ ownerId: testBootReportSchema.shape.operationId.nullable() })
export type KeptTestBoot = TestBootReport & { ownerId: string | null }

/** The newest 50 of what test boots have found, each with its screen where there is one. */
export function testBootReports(layout: Layout): KeptReports<KeptTestBoot> {
  return keptReports({
    folder: testBootsDir(layout),
    schema: keptSchema,
    count: 50,
    at: ({ at }) => at,
    besides: ['.png'],
  })
}
