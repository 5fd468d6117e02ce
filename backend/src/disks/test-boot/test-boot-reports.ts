import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { testBootFile, testBootsDir, testBootScreenFile, type Layout } from '../../domain/layout.js'
import { testBootReportSchema, type TestBootReport } from '../../domain/test-boot.js'
import { errnoOf, writeFileDurably } from '../../system/durable-file.js'

/** `state/test-boots/<operationId>.json`, with the account that may see it. */
const keptSchema = testBootReportSchema.extend({ ownerId: testBootReportSchema.shape.operationId.nullable() })
export type KeptTestBoot = TestBootReport & { ownerId: string | null }

const KEPT = 50
const NAME = /^([0-9a-f-]{36})\.json$/

/** Keeps the newest 50, each with its screen where there is one. Rejects with the file system's error. */
export async function keepTestBoot(layout: Layout, report: KeptTestBoot, screen: Buffer | null): Promise<void> {
  await mkdir(testBootsDir(layout), { recursive: true, mode: 0o700 })
  if (screen) await writeFileDurably(testBootScreenFile(layout, report.operationId), screen)
  await writeFileDurably(testBootFile(layout, report.operationId), `${JSON.stringify(report)}\n`)
  for (const { operationId } of (await listTestBoots(layout)).slice(KEPT)) {
    await rm(testBootFile(layout, operationId), { force: true })
    await rm(testBootScreenFile(layout, operationId), { force: true })
  }
}

/** Newest first. What can't be read is left out: a report may be deleted at any time. */
export async function listTestBoots(layout: Layout): Promise<KeptTestBoot[]> {
  const names = await readdir(testBootsDir(layout)).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  const ids = names.flatMap((name) => NAME.exec(name)?.[1] ?? [])
  const kept = await Promise.all(ids.map((id) => readOne(layout, id)))
  return kept.filter((one) => one !== undefined).toSorted((one, other) => other.at.localeCompare(one.at))
}

async function readOne(layout: Layout, operationId: string): Promise<KeptTestBoot | undefined> {
  try {
    return keptSchema.parse(JSON.parse(await readFile(testBootFile(layout, operationId), 'utf8')))
  } catch {
    return undefined
  }
}
