import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'

/** How far a copy is: what it copies, then the sha256 of each segment that is on the disk, a line each. */
export interface CopyLog {
  /** Of a former process, in order. */
  segments(): readonly string[]
  /** Forgets all but the first `count`. */
  keep(count: number): Promise<void>
  add(sha256: string): void
  /** Writes down what was added, durably. Call once the segments themselves are. */
  flush(): Promise<void>
  /** The sha256 over those of all segments. */
  total(): string
  close(): Promise<void>
}

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
    async flush() {
      const added = hashes.slice(written)
      await file.appendFile(added.map((line) => `${line}\n`).join(''))
      await file.datasync()
      written = hashes.length
    },
    total: () => createHash('sha256').update(hashes.join('\n')).digest('hex'),
    close: () => file.close(),
  }
}
