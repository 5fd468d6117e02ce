import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { EngineError } from './engine.js'
import { qmpFailure } from './guest-input.js'
import type { EngineContext, Run } from './run.js'
import { pathInQemu } from './run-paths.js'

/** A screen of 16 MiB of video memory, as PNG, stays far below. */
const MAX_PNG_BYTES = 16 * 1024 * 1024
/** Compressing a large screen takes QEMU longer than other commands. */
const SCREENDUMP_TIMEOUT_MS = 5000
const PNG_SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])

/** The screen as PNG. QEMU writes it into its own folder; what is read there is bounded and never a link. */
export async function takeScreenshot(context: EngineContext, run: Run): Promise<Buffer> {
  if (!run.qmp) throw new EngineError('host-unknown', 'QEMU does not answer.', { retry: true })
  const file = `${run.paths.io}/screen-${randomBytes(6).toString('hex')}.png`
  try {
    const filename = pathInQemu(context.dataDir, file)
    await run.qmp.run('screendump', { filename, format: 'png' }, SCREENDUMP_TIMEOUT_MS)
    return await readPicture(file)
  } catch (error) {
    throw qmpFailure('take a picture of the screen', error)
  } finally {
    await rm(file, { force: true })
  }
}

async function readPicture(path: string): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const found = await file.stat()
    if (!found.isFile() || found.nlink !== 1 || found.size > MAX_PNG_BYTES) {
      throw new EngineError('engine', 'QEMU left something else than a picture of the screen.')
    }
    const bytes = Buffer.alloc(found.size)
    const { bytesRead } = await file.read(bytes, 0, bytes.length, 0)
    const picture = bytes.subarray(0, bytesRead)
    if (picture.subarray(0, 8).equals(PNG_SIGNATURE)) return picture
    throw new EngineError('engine', 'QEMU left something else than a picture of the screen.')
  } finally {
    await file.close()
  }
}
