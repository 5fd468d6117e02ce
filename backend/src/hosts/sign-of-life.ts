import { constants } from 'node:fs'
import { chown, open, type FileHandle } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { runCommand } from '../system/command.js'
import { errnoOf } from '../system/durable-file.js'
import type { Identity } from '../system/identity.js'

/**
 * A pipe with a name that a QEMU in a container holds open as long as it lives. The kernel closes it with the process,
 * however that ends, and says so to whoever shares the folder: process numbers mean nothing from container to container,
 * and nobody needs to be asked.
 */
export async function makeSignOfLife(path: string, user: Identity | undefined): Promise<void> {
  await runCommand('mkfifo', ['-m', '0600', path], { timeoutMs: 10_000 })
  if (user) await chown(path, user.uid, user.gid)
}

/** Whether somebody holds it. */
export async function isAlive(path: string): Promise<boolean> {
  try {
    const flags = constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW
    await (await open(path, flags)).close() // fifo(7): ENXIO when nobody has it open for reading
    return true
  } catch (error) {
    if (['ENXIO', 'ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return false
    throw error
  }
}

/** How long a container's program may take from its start to its first line. */
const BEGINS_WITHIN_MS = 15_000
const LOOK_MS = 20

/** Watches from before the start, so that also an end at once is seen. While it does, `isAlive` is true. */
export interface LifeWatch {
  /** Resolves when it is held for the first time; never when it is not. */
  readonly begun: Promise<void>
  /** Resolves when it is held no more, or was not in time after `expect`; never after `close`. */
  readonly ended: Promise<void>
  /** From now on it is late. */
  expect(): void
  close(): Promise<void>
}

export async function watchLife(path: string): Promise<LifeWatch> {
  const pipe = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
  const closing = new AbortController()
  let begin!: () => void
  const begun = new Promise<void>((resolve) => {
    begin = resolve
  })
  let lateAt = Number.POSITIVE_INFINITY
  const looked = untilLeft(pipe, begin, () => performance.now() > lateAt, closing.signal)
  looked.catch(() => undefined) // told by `ended`
  return {
    begun,
    ended: looked.then((left) => (left ? undefined : new Promise<never>(() => undefined))),
    expect() {
      lateAt = performance.now() + BEGINS_WITHIN_MS
    },
    async close() {
      closing.abort()
      await looked.catch(() => undefined)
      await pipe.close()
    },
  }
}

/** False when it was closed before. */
async function untilLeft(
  pipe: FileHandle,
  begin: () => void,
  isLate: () => boolean,
  closed: AbortSignal,
): Promise<boolean> {
  const byte = Buffer.alloc(1)
  for (let isHeld = false; !closed.aborted;) {
    // Nothing to read: EAGAIN while somebody could write, the end when nobody could.
    const isLeft = await pipe.read(byte, 0, 1, null).then(
      ({ bytesRead }) => bytesRead === 0,
      (error: unknown) => {
        if (errnoOf(error) === 'EAGAIN') return false
        throw error
      },
    )
    if (isLeft && (isHeld || isLate())) return true
    if (!isLeft) {
      isHeld = true
      begin()
    }
    await delay(LOOK_MS)
  }
  return false
}
