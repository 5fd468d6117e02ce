import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Looks often at what the data folder holds; the limits of the tools hold between two looks. */
export function watchDisk(folder: string) {
  let peak = 0
  let looking: Promise<void> = Promise.resolve()
  const timer = setInterval(() => {
    looking = looking.then(async () => void (peak = Math.max(peak, await heldBytes(folder))))
  }, 200)
  return {
    async stop() {
      clearInterval(timer)
      await looking
      return peak
    },
  }
}

async function heldBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  const sizes = entries.map(async (entry) => {
    const held = await stat(join(entry.parentPath, entry.name)).catch(() => undefined) // gone meanwhile
    return (held?.blocks ?? 0) * 512
  })
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0)
}
