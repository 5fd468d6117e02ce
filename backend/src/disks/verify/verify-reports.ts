import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { z } from 'zod'
import { nodeIdSchema, operationIdSchema } from '../../domain/ids.js'
import { reportFile, reportsDir, type Layout } from '../../domain/layout.js'
import { verifyReportSchema } from '../../domain/storage.js'
import { errnoOf, writeFileDurably } from '../../system/durable-file.js'

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

const KEPT = 20
const NAME = /^([0-9a-f-]{36})\.json$/

/** Keeps the newest 20, and the newest of everything however old it is. Rejects with the file system's error. */
export async function keepReport(layout: Layout, kept: Omit<KeptReport, 'kind' | 'schema'>): Promise<void> {
  await mkdir(reportsDir(layout), { recursive: true, mode: 0o700 })
  const text = JSON.stringify({ kind: 'sandlabx-report', schema: 1, ...kept } satisfies KeptReport)
  await writeFileDurably(reportFile(layout, kept.operationId), `${text}\n`)
  const all = await listReports(layout)
  const newest = all.find(({ nodeId }) => nodeId === null)
  for (const old of all.slice(KEPT)) {
    if (old !== newest) await rm(reportFile(layout, old.operationId), { force: true })
  }
}

/** Undefined when there is none, or none that can be read. */
export async function readReport(layout: Layout, operationId: string): Promise<KeptReport | undefined> {
  try {
    return keptReportSchema.parse(JSON.parse(await readFile(reportFile(layout, operationId), 'utf8')))
  } catch {
    return undefined // a report may be deleted at any time, and a broken one is worth as much as none
  }
}

/** Newest first. */
export async function listReports(layout: Layout): Promise<KeptReport[]> {
  const names = await readdir(reportsDir(layout)).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  const ids = names.flatMap((name) => NAME.exec(name)?.[1] ?? [])
  const kept = await Promise.all(ids.map((id) => readReport(layout, id)))
  return kept.filter((one) => one !== undefined).toSorted((one, other) => other.report.at.localeCompare(one.report.at))
}
