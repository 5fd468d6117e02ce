import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../system/durable-file.js'
import { createLimiter } from '../system/limiter.js'

/** Bytes that files hold on the disk; whatever has several names is counted under the first that is asked for. */
export interface UsageCounter {
  /** Of one file; 0 when it is not there, no plain file, or counted already. */
  file: (path: string) => Promise<number>
  /** Of all files in a folder and below it. No link is followed. */
  folder: (path: string) => Promise<number>
}

const LOOKED_AT_ONCE = 16

export function createUsageCounter(): UsageCounter {
  const counted = new Set<string>()
  const limiter = createLimiter(LOOKED_AT_ONCE)

  async function file(path: string): Promise<number> {
    const found = await limiter.run(() => lstat(path)).catch(absent)
    if (!found?.isFile()) return 0
    const name = `${found.dev}:${found.ino}`
    if (counted.has(name)) return 0
    counted.add(name)
    return found.blocks * 512
  }

  async function folder(path: string): Promise<number> {
    const entries = await limiter.run(() => readdir(path, { withFileTypes: true })).catch(absent)
    const sizes = (entries ?? []).map((entry) =>
      entry.isDirectory() ? folder(join(path, entry.name)) : file(join(path, entry.name)),
    )
    return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0)
  }

  return { file, folder }
}

function absent(error: unknown): null {
  if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(errnoOf(error) ?? '')) return null
  throw error
}
