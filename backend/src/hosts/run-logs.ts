import { constants } from 'node:fs'
import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import { stagingName } from '../system/durable-file.js'

/** Above this a log is put aside: one older generation is kept. */
export const LOG_LIMIT_BYTES = 4 * 1024 * 1024
const COPY_BYTES = 256 * 1024

const olderOf = (path: string) => `${path}.1`

/**
 * The newest bytes of a log and its older generation, at most `maxBytes`; empty when there is none.
 *
 * The folder is QEMU's: a symbolic link, a hard link or anything but a plain file is taken for absent.
 */
export async function readLogTail(path: string, maxBytes: number): Promise<Buffer> {
  const newest = await tailOf(path, maxBytes)
  if (newest.length >= maxBytes) return newest
  return Buffer.concat([await tailOf(olderOf(path), maxBytes - newest.length), newest])
}

/**
 * Keeps a log that QEMU appends to below the limit: copied aside, then cut to nothing. QEMU writes on (it opened the
 * log for appending); what it writes between the last copied byte and the cut is lost, a few bytes at the worst.
 * Returns whether it was cut.
 */
export async function rotateLog(path: string, limitBytes = LOG_LIMIT_BYTES): Promise<boolean> {
  const log = await openPlain(path, constants.O_RDWR)
  if (!log) return false
  const staging = stagingName(olderOf(path))
  try {
    if ((await log.stat()).size <= limitBytes) return false
    const copy = await open(staging, 'wx', 0o600)
    try {
      await copyAll(log, copy)
    } finally {
      await copy.close()
    }
    await log.truncate(0)
    await rename(staging, olderOf(path))
    return true
  } finally {
    await log.close()
    await rm(staging, { force: true })
  }
}

/** The last lines that say something, joined; bounded. Pure. */
export function newestLines(text: string, count: number): string {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(-count)
    .join('\n')
    .slice(-800)
}

async function tailOf(path: string, maxBytes: number): Promise<Buffer> {
  const log = await openPlain(path, constants.O_RDONLY)
  if (!log) return Buffer.alloc(0)
  try {
    const { size } = await log.stat()
    const length = Math.min(size, maxBytes)
    const { buffer, bytesRead } = await log.read(Buffer.alloc(length), 0, length, size - length)
    return buffer.subarray(0, bytesRead)
  } finally {
    await log.close()
  }
}

async function openPlain(path: string, flags: number): Promise<FileHandle | undefined> {
  let file: FileHandle
  try {
    // O_NONBLOCK: a FIFO in its place must not hold us up.
    file = await open(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? ''
    if (['ENOENT', 'ELOOP', 'ENOTDIR', 'ENXIO', 'EISDIR'].includes(code)) return undefined
    throw error
  }
  const found = await file.stat()
  if (found.isFile() && found.nlink === 1) return file
  await file.close()
  return undefined
}

/** To the end, wherever that is by then, but not for ever: a guest may write as fast as we copy. */
async function copyAll(from: FileHandle, to: FileHandle): Promise<void> {
  const chunk = Buffer.alloc(COPY_BYTES)
  for (let position = 0; position < 4 * LOG_LIMIT_BYTES;) {
    const { bytesRead } = await from.read(chunk, 0, chunk.length, position)
    if (bytesRead === 0) return
    await to.write(chunk, 0, bytesRead, position)
    position += bytesRead
  }
}
