import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'

/** How far a copy is: what it copies, then the sha256 of each segment that is on the disk, a line each. */
export interface CopyLog {
  /** Of a former process, in order. */
  segments(): readonly string[]
  /** Forgets all but the first `count`. */
  keep(count: number): Promise<void>
  add(sha256: string): void
  /** Segments that are noted or added, and how many of them are noted. */
  counts(): { added: number; noted: number }
  /** Writes down the first `count`, durably. Call once these segments themselves are; never twice at once. */
  note(count: number): Promise<void>
  /** The sha256 over those of all segments. */
  total(): string
  close(): Promise<void>
}

/** The disk is kept busy with no less: a note in the log after as much, and what a kill can cost besides what is under way. */
const DURABLE_EVERY_SEGMENTS = 8
const LINE = /^[0-9a-f]{64}$/

/** Opens the log, or begins it anew when it is of another copy. A line that a kill cut off is not one. */
export async function openCopyLog(path: string, key: string): Promise<CopyLog> {
  const file = await open(path, 'a+', 0o600)
  const lines = (await file.readFile('utf8')).split('\n').slice(0, -1)
  const broken = lines.findIndex((line) => !LINE.test(line))
  const whole = broken < 0 ? lines : lines.slice(0, broken)
  const known = whole[0] === key ? whole.slice(1) : []
  let hashes = [...known]
  let written = 0

  async function rewrite(): Promise<void> {
    await file.truncate(0)
    await file.appendFile([key, ...hashes].map((line) => `${line}\n`).join(''))
    await file.datasync()
    written = hashes.length
  }

  return {
    segments: () => known,
    async keep(count) {
      hashes = hashes.slice(0, count)
      await rewrite()
    },
    add: (sha256) => void hashes.push(sha256),
    counts: () => ({ added: hashes.length, noted: written }),
    async note(count) {
      await file.appendFile(
        hashes
          .slice(written, count)
          .map((line) => `${line}\n`)
          .join(''),
      )
      await file.datasync()
      written = count
    },
    total: () => createHash('sha256').update(hashes.join('\n')).digest('hex'),
    close: () => file.close(),
  }
}

/** Makes what was copied durable while the copy goes on: at its end little is left to wait for. */
export interface Notes {
  /** Begins when there is enough. Throws what the one before met. */
  begin(): void
  /** All that was added is durable, and noted. */
  end(): Promise<void>
}

export function notesOf(file: FileHandle, log: CopyLog): Notes {
  let running: Promise<void> | undefined
  let failure: { error: unknown } | undefined
  /** Content before the word that it is there. */
  const note = async () => {
    const { added } = log.counts()
    await file.datasync()
    await log.note(added)
  }
  return {
    begin() {
      if (failure) throw failure.error
      const { added, noted } = log.counts()
      if (running || added - noted < DURABLE_EVERY_SEGMENTS) return
      running = note()
        .catch((error: unknown) => void (failure = { error }))
        .finally(() => (running = undefined))
    },
    async end() {
      await running
      if (failure) throw failure.error
      await note()
    },
  }
}
