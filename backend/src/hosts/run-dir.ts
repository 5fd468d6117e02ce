import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdir, rename, rm, stat } from 'node:fs/promises'
import type { Layout } from '../domain/layout.js'
import { makeSeedIso } from '../system/seed-iso.js'
import type { Identity } from '../system/identity.js'
import type { Logger } from '../system/log.js'
import type { GuestSeed } from './engine.js'
import type { RunPaths } from './run-paths.js'

/**
 * Prepares the folders that QEMU must pass through when it runs as another user: each gets the right to enter, not to
 * read. Not root: nothing to do but to make `run/`.
 */
export async function openFolders(layout: Layout, dataDir: string, worker: Identity | undefined, log: Logger) {
  await mkdir(layout.run, { recursive: true, mode: worker ? 0o711 : 0o700 })
  if (!worker) return
  for (const folder of [dataDir, layout.run, layout.images, layout.overlays]) {
    const found = await stat(folder).catch(() => undefined) // images and overlays are made by their own rooms
    if (!found || found.uid === worker.uid || (found.mode & 0o001) !== 0) continue
    log.info({ folder }, 'QEMU runs as another user: its folder gets the right to be entered')
    await chmod(folder, (found.mode & 0o7777) | 0o001)
  }
}

/** A fresh folder for one start: what an earlier run left is gone, the worker owns `io/` with the seed in it. */
export async function makeRunDir(paths: RunPaths, seed: GuestSeed | null, worker: Identity | undefined): Promise<void> {
  const removeOld = await setAside(paths.dir)
  await mkdir(paths.dir, { mode: 0o711 })
  await mkdir(paths.io, { mode: 0o700 })
  await Promise.all([removeOld(), seed && placeSeed(paths.seed, seed, worker)])
  // Last: from here on other processes of the worker could put links into it.
  if (worker) await chown(paths.io, worker.uid, worker.gid)
}

async function placeSeed(path: string, seed: GuestSeed, worker: Identity | undefined): Promise<void> {
  await makeSeedIso(path, seed)
  await chmod(path, 0o400)
  if (worker) await chown(path, worker.uid, worker.gid)
}

/** After the end: sockets, seed and pid go; the logs and `launch.json` stay until the next start. */
export async function tidyRunDir(paths: RunPaths): Promise<void> {
  for (const path of [paths.qmp, paths.serial, paths.vnc, paths.pid, paths.seed]) await rm(path, { force: true })
}

export async function removeRunDir(paths: RunPaths): Promise<void> {
  const remove = await setAside(paths.dir)
  await remove()
}

/** By rename first, so that no half-removed folder is ever taken for a node's. Resolves with the rest of the work. */
async function setAside(dir: string): Promise<() => Promise<void>> {
  const aside = `${dir}.${randomBytes(4).toString('hex')}.gone`
  try {
    await rename(dir, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return async () => undefined
    throw error
  }
  return () => rm(aside, { recursive: true, force: true })
}
