import { chmod, chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { runCommand } from '../system/command.js'
import { errnoOf } from '../system/durable-file.js'
import type { Identity } from '../system/identity.js'
import { withOpenChain } from './chain-files.js'
import { limited } from './layer-copies.js'
import { connectNbd, type NbdClient } from './nbd-client.js'

/** For qemu-nbd to make its socket. */
const READY_MS = 20_000
/** Longest that a copy may take. */
const TIMEOUT_MS = 24 * 60 * 60 * 1000

/**
 * Reads a chain of disks (nearest first) as its guest would, through a qemu-nbd of the disk's own user: it knows every
 * kind of cluster. The chain must stand still. Ends the server when `use` has ended; throws what either threw first.
 */
export async function readingChain<T>(
  files: readonly string[],
  identity: Identity | undefined,
  signal: AbortSignal,
  use: (disk: NbdClient) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'sbx-nbd-'))
  const over = new AbortController()
  try {
    await chmod(folder, 0o700)
    if (identity) await chown(folder, identity.uid, identity.gid)
    return await withOpenChain(files, async (chain, extraFds) => {
      // qemu-nbd wants an absolute path, and its user may have no right on the folders above.
      const args = ['--read-only', '--socket=/proc/self/cwd/s', `json:${JSON.stringify(chain)}`]
      const { limits, ...options } = limited(identity, AbortSignal.any([signal, over.signal]), 0)
      const memoryBytes = limits?.memoryBytes ?? 1024 ** 3
      const server = runCommand('qemu-nbd', args, {
        ...options,
        timeoutMs: TIMEOUT_MS,
        limits: { memoryBytes },
        cwd: folder,
        extraFds,
      })
      const ended = server.then(() => Promise.reject(new Error('The disk server has ended.')))
      ended.catch(() => undefined) // raced below, or our own doing
      const work = whenReady(join(folder, 's'), signal).then(async (disk) => {
        try {
          return await use(disk)
        } finally {
          disk.close()
        }
      })
      try {
        return await Promise.race([work, ended])
      } finally {
        over.abort()
        await Promise.allSettled([work, server])
      }
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function whenReady(path: string, signal: AbortSignal): Promise<NbdClient> {
  const deadline = performance.now() + READY_MS
  for (;;) {
    signal.throwIfAborted()
    try {
      return await connectNbd(path)
    } catch (error) {
      const notYet = errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ECONNREFUSED'
      if (!notYet || performance.now() > deadline) throw error
    }
    await delay(5)
  }
}
