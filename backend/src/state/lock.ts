import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { stateLockFile, type Layout } from '../domain/layout.js'
import { CommandError, runCommand } from '../system/command.js'

const holderSchema = z.object({ pid: z.int(), startedAt: z.string(), host: z.string() })

/**
 * Takes the exclusive lock on `state/lock`, so that one backend writes here. `flock` runs on our open file, inherited as
 * its descriptor 3: the lock belongs to that open file and ends with us, however we end, also across containers. Other
 * children do not inherit it, since Node opens every file close-on-exec.
 *
 * Throws `state_locked`, naming the holder, and has then changed nothing. Returns what frees the lock.
 */
export async function lockState(layout: Layout): Promise<() => void> {
  const path = stateLockFile(layout)
  // A bare descriptor: a FileHandle that is garbage-collected would free the lock.
  const descriptor = openSync(path, 'a+', 0o600)
  try {
    await runCommand('flock', ['-n', '3'], { timeoutMs: 10_000, extraFds: [descriptor] })
  } catch (error) {
    closeSync(descriptor)
    throw error instanceof CommandError && error.exitCode === 1 ? await lockedBy(path) : error
  }
  const startedAt = new Date(Date.now() - process.uptime() * 1000).toISOString()
  ftruncateSync(descriptor)
  writeSync(descriptor, JSON.stringify({ pid: process.pid, startedAt, host: hostname() }))
  return () => closeSync(descriptor)
}

/**
 * Takes the folder of disks for one backend: two that have states of their own, as two Compose projects on one folder,
 * know nothing of each other's state lock. The lock is on the folder itself, so that no file of ours lies there.
 * Throws `state_locked`. Where the file system has no such locks there is none.
 */
export async function lockDisks({ overlays }: Pick<Layout, 'overlays'>): Promise<() => void> {
  const descriptor = openSync(overlays, 'r')
  try {
    await runCommand('flock', ['-n', '3'], { timeoutMs: 10_000, extraFds: [descriptor] })
  } catch (error) {
    closeSync(descriptor)
    if (!(error instanceof CommandError)) throw error
    if (error.exitCode !== 1) return () => undefined
    throw new SandlabError('state_locked', `The disks in ${overlays} are in use by another SandLabX.`, {
      hint: 'Stop the other one, or give this one folders of its own: two would write over each other’s disks.',
      details: { folder: overlays },
    })
  }
  return () => closeSync(descriptor)
}

/** Locks that this process keeps while it waits for someone to decide about a state that can't be read. */
const HELD_IN_SAFE_MODE = new Map<string, () => void>()

/** Keeps a lock without a store; returns what frees it. */
export function holdInSafeMode(lockFile: string, unlock: () => void): () => Promise<void> {
  HELD_IN_SAFE_MODE.set(lockFile, unlock)
  return async () => {
    if (HELD_IN_SAFE_MODE.get(lockFile) !== unlock) return
    HELD_IN_SAFE_MODE.delete(lockFile)
    unlock()
  }
}

/** Runs `work` under the lock: the one that this process holds in safe mode and keeps, else one of its own. */
export async function withStateLock<T>(layout: Layout, work: () => Promise<T>): Promise<T> {
  if (HELD_IN_SAFE_MODE.has(stateLockFile(layout))) return work()
  const unlock = await lockState(layout)
  try {
    return await work()
  } finally {
    unlock()
  }
}

async function lockedBy(path: string): Promise<SandlabError> {
  const holder = parseHolder(await readFile(path, 'utf8').catch(() => ''))
  const who = holder ? ` (process ${holder.pid} on ${holder.host}, running since ${holder.startedAt})` : ''
  return new SandlabError('state_locked', `Could not open the state: another SandLabX uses it${who}.`, {
    hint: 'Stop the other one with `./sandlabx down`, or use another data folder with `--data`.',
    details: { lockFile: path, ...holder },
  })
}

function parseHolder(text: string): z.infer<typeof holderSchema> | undefined {
  try {
    return holderSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined // the holder has not written it yet: a name is help, not a condition
  }
}
