import { mkdir, readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import { errnoOf, writeFileDurably } from '../system/durable-file.js'

/** Reports of operations, each a file in a folder: `<operationId>.json`. One may be deleted at any time. */
export interface KeptReports<R> {
  /** Durably, after what belongs to it by its ending (`.png`); the oldest beyond the count go. Rejects with the file system's error. */
  keep(report: R, beside?: Record<string, Buffer>): Promise<void>
  /** Undefined when there is none, or none that can be read: a broken one is worth as much as none. */
  read(operationId: string): Promise<R | undefined>
  /** Newest first. */
  list(): Promise<R[]>
}

export interface ReportsOptions<R> {
  folder: string
  schema: z.ZodType<R>
  /** How many are kept. */
  count: number
  /** When it was made. */
  at: (report: R) => string
  /** Stays however old it is. */
  spare?: (newestFirst: readonly R[]) => R | undefined
  /** Endings of what may lie beside a report, and goes with it: `.png`. */
  besides?: readonly string[]
}

const NAME = /^([0-9a-f-]{36})\.json$/

export function keptReports<R extends { operationId: string }>(options: ReportsOptions<R>): KeptReports<R> {
  const { folder, schema, count, at } = options
  const fileOf = (operationId: string, ending = '.json') => join(folder, operationId + ending)
  const read = async (operationId: string): Promise<R | undefined> => {
    try {
      return schema.parse(JSON.parse(await readFile(fileOf(operationId), 'utf8')))
    } catch {
      return undefined
    }
  }
  const list = async (): Promise<R[]> => {
    const names = await readdir(folder).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return []
      throw error
    })
    const kept = await Promise.all(names.flatMap((name) => NAME.exec(name)?.[1] ?? []).map(read))
    return kept.filter((one) => one !== undefined).toSorted((one, other) => at(other).localeCompare(at(one)))
  }
  return {
    read,
    list,
    async keep(report, beside = {}) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
      for (const [ending, bytes] of Object.entries(beside))
        await writeFileDurably(fileOf(report.operationId, ending), bytes)
      await writeFileDurably(fileOf(report.operationId), `${JSON.stringify(report)}\n`)
      const all = await list()
      const spared = options.spare?.(all)
      for (const old of all.slice(count)) {
        if (old === spared) continue
        for (const ending of ['.json', ...(options.besides ?? [])])
          await rm(fileOf(old.operationId, ending), { force: true })
      }
    },
  }
}
