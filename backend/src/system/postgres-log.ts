import { open, rename, stat, truncate, writeFile } from 'node:fs/promises'

export const LOG_LIMIT_BYTES = 4 * 1024 * 1024
const KEPT_BYTES = 1024 * 1024

/**
 * Keeps a log that another process appends to below its limit: the newest MiB is copied to `<file>.old`, then the file
 * is cut. Its writer has it open for appending, so it goes on at the new end; lines of the moment between are lost.
 */
export async function boundLog(file: string, limitBytes = LOG_LIMIT_BYTES): Promise<void> {
  const { size } = await stat(file)
  if (size <= limitBytes) return
  const kept = Buffer.alloc(Math.min(KEPT_BYTES, limitBytes))
  const log = await open(file, 'r')
  try {
    await log.read(kept, 0, kept.length, size - kept.length)
  } finally {
    await log.close()
  }
  await writeFile(`${file}.old.tmp`, kept, { mode: 0o600 })
  await rename(`${file}.old.tmp`, `${file}.old`)
  await truncate(file, 0)
}
