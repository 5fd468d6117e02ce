import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { operationSchema, type Operation } from '../domain/operation.js'
import { fsyncDirectory, writeFileDurably } from '../system/durable-file.js'

/** What an operation is about to do, on the disk before its first effect. */
const entrySchema = z.object({
  kind: z.literal('sandlabx-intent'),
  schema: z.literal(1),
  operation: operationSchema,
  intent: z.unknown(),
})

export interface JournalEntry {
  file: string
  operation: Operation
  intent: unknown
}

export interface Journal {
  /**
   * Resolves when the intent is on the disk; the name orders entries by when they began. Rejects with the file system's
   * error, also when the intent of an operation that is over can't be removed: then nothing new may begin.
   */
  write(operation: Operation, intent: unknown): Promise<string>
  /** Replaces what an entry says, for intents that learn something on the way. */
  rewrite(file: string, operation: Operation, intent: unknown): Promise<void>
  /** Absent is success. */
  remove(file: string): Promise<void>
}

export interface JournalFound {
  /** Oldest first. */
  entries: JournalEntry[]
  /** Set aside under another name: nobody can say what they meant to do. */
  unreadable: { file: string; reason: string }[]
}

const ENTRY = /^(\d{12})-[0-9a-f-]{36}\.json$/

/** Opens `state/journal/`, and reads what a former process left in it. */
export async function openJournal(folder: string): Promise<{ journal: Journal; found: JournalFound }> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const found: JournalFound = { entries: [], unreadable: [] }
  let sequence = 0
  for (const name of (await readdir(folder)).toSorted()) {
    const path = join(folder, name)
    const number = ENTRY.exec(name)?.[1]
    if (name.endsWith('.tmp')) await rm(path, { force: true })
    if (number === undefined) continue
    sequence = Math.max(sequence, Number(number))
    const entry = await readEntry(path)
    if ('operation' in entry) found.entries.push(entry)
    else found.unreadable.push(await setAside(path, entry.reason))
  }
  /** Of operations that are over or never began, and may still be on the disk. */
  const stale = new Set<string>()
  const forget = async (file: string) => {
    stale.add(file)
    await rm(file, { force: true })
    await fsyncDirectory(folder)
    stale.delete(file)
  }
  const journal: Journal = {
    async write(operation, intent) {
      // What a stale one would take back at the next start is what was done meanwhile: so nothing is done meanwhile.
      for (const file of stale) await forget(file)
      sequence += 1
      const file = join(folder, `${String(sequence).padStart(12, '0')}-${operation.id}.json`)
      try {
        await this.rewrite(file, operation, intent)
      } catch (error) {
        await forget(file).catch(() => undefined) // it may have its name already; tried again before the next one
        throw error
      }
      return file
    },
    async rewrite(file, operation, intent) {
      await writeFileDurably(file, `${JSON.stringify({ kind: 'sandlabx-intent', schema: 1, operation, intent })}\n`)
    },
    remove: forget,
  }
  return { journal, found }
}

async function readEntry(path: string): Promise<JournalEntry | { reason: string }> {
  try {
    const { operation, intent } = entrySchema.parse(JSON.parse(await readFile(path, 'utf8')))
    return { file: path, operation, intent }
  } catch (error) {
    return { reason: error instanceof Error ? error.message.slice(0, 500) : String(error) }
  }
}

async function setAside(path: string, reason: string): Promise<{ file: string; reason: string }> {
  const aside = `${path}.unreadable`
  await rename(path, aside)
  return { file: aside, reason }
}
