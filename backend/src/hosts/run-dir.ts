import { randomBytes } from 'node:crypto'
import { chmod, chown, mkdir, rename, rm, stat } from 'node:fs/promises'
import type { Layout } from '../domain/layout.js'
import { makeSeedIso } from '../system/seed-iso.js'
import type { Identity } from '../system/identity.js'
import type { Logger } from '../system/log.js'
import type { GuestSeed } from './engine.js'
import type { RunPaths } from './run-paths.js'

/**
 * Prepares the folders that QEMU must pass through when it runs as another user: each gets the right to enter, and those
 * that are ours lose the right to be listed or written by strangers: who does not know a name finds nothing. Not root:
 * nothing to do but to make `run/`.
 */
export async function openFolders(layout: Layout, dataDir: string, worker: Identity | undefined, log: Logger) {
  await mkdir(layout.run, { recursive: true, mode: worker ? 0o711 : 0o700 })
  if (!worker) return
  await setMode(dataDir, (mode) => mode | 0o001, log) // may be a folder of somebody's project
  for (const folder of [layout.run, layout.images, layout.overlays]) {
    await setMode(folder, (mode) => (mode & ~0o006) | 0o001, log)
  }
  await setMode(layout.state, (mode) => mode & ~0o006, log)
}

async function setMode(folder: string, change: (mode: number) => number, log: Logger): Promise<void> {
  const found = await stat(folder).catch(() => undefined) // images, overlays and state are made by their own rooms
  if (!found) return
  const mode = found.mode & 0o7777
  const wanted = change(mode)
  if (wanted === mode) return
  log.info({ folder, mode: wanted.toString(8) }, 'QEMU runs as other users: the rights on this folder were changed')
  await chmod(folder, wanted)
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

/** After the end: sockets, seed, pid and the disks' links go; the logs and `launch.json` stay until the next start. */
export async function tidyRunDir(paths: RunPaths): Promise<void> {
  const { qmp, serial, agent, vnc, pid, seed } = paths
  for (const path of [qmp, serial, agent, vnc, pid, seed, paths.arguments, paths.alive]) await rm(path, { force: true })
  await rm(paths.disks, { recursive: true, force: true })
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
