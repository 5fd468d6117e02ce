import { chmod, chown, link, lstat, mkdir, open, rename, rm, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { SandlabError } from '../domain/error.js'
import { overlayFile, overlayFileName, type Layout } from '../domain/layout.js'
import { sha256Of } from '../images/file-blocks.js'
import { openSuspect } from '../images/suspect-file.js'
import { withOpenChain } from '../storage/chain-files.js'
import { copyFailure, limited } from '../storage/layer-copies.js'
import { CommandError, runCommand } from '../system/command.js'
import { errnoOf, fsyncDirectory } from '../system/durable-file.js'
import { workerIdentity } from '../system/identity.js'
import { checkOverlay } from './old-disks.js'

export interface DiskCopyRequest {
  /** The old disk, and the base below it; null: it stands on nothing. */
  source: string
  oldBase: string | null
  /** In our staging folder. */
  target: string
  /** The new base, and how the new disk names it; null: nothing. */
  base: { path: string; name: string } | null
  /** What the plan saw; a disk that has changed since is in use. */
  expected: { sizeBytes: number; mtimeMs: number }
  signal: AbortSignal
}

const COPY_TIMEOUT_MS = 12 * 3600 * 1000

/**
 * Copies an old disk with its holes, lets it name its new base, and compares what a guest reads from both, byte by byte,
 * through all that they stand on. Our own look comes before any QEMU tool, and those run as the worker within limits.
 * Throws `busy` when the disk is being written, `image_refused`, `checksum_mismatch`, `node_broken`, `no_space`.
 */
export async function copyOldDisk(request: DiskCopyRequest): Promise<void> {
  const { source, target, expected, signal } = request
  const { file, stats } = await openSuspect(source)
  try {
    if (stats.size !== expected.sizeBytes || Math.floor(stats.mtimeMs) !== expected.mtimeMs) throw inUse(source)
    await checkOverlay(file, stats.size)
    await copyFile(file.fd, target, stats.size, signal)
    await copiedAsRead(file.fd, source, target, stats.size)
    const after = await file.stat()
    if (after.mtimeMs !== stats.mtimeMs || after.size !== stats.size) throw inUse(source)
  } finally {
    await file.close()
  }
  await closeLeaks(target, signal)
  await nameBase(target, request.base?.name ?? null, signal)
  await requireSameContent(request)
  const written = await open(target, 'r+')
  try {
    await written.sync()
  } finally {
    await written.close()
  }
}

/** By `cp`, which knows a file's holes and shares blocks where the file system can. */
async function copyFile(fd: number, target: string, fileBytes: number, signal: AbortSignal): Promise<void> {
  try {
    await runCommand('cp', ['--sparse=always', '--reflink=auto', '--', '/proc/self/fd/3', target], {
      timeoutMs: COPY_TIMEOUT_MS,
      signal,
      limits: { fileBytes },
      extraFds: [fd],
    })
  } catch (error) {
    throw copyFailure('the old disk', error)
  }
  const worker = workerIdentity()
  if (worker) await chown(target, worker.uid, worker.gid)
  await chmod(target, 0o600)
}

async function copiedAsRead(fd: number, source: string, target: string, length: number): Promise<void> {
  const [was, is] = [await open(`/proc/self/fd/${fd}`, 'r'), await open(target, 'r')]
  try {
    const [before, after] = [await sha256Of(was, length), await sha256Of(is, length)]
    if (before !== after) throw mismatch(source)
    await checkOverlay(is, length)
  } finally {
    await was.close()
    await is.close()
  }
}

/**
 * A guest that lost its power leaves clusters that nobody counts: they are given back. Anything worse is a damaged disk.
 * `backing: null`: no other file is opened.
 */
async function closeLeaks(path: string, signal: AbortSignal): Promise<void> {
  try {
    await qemuImg(['check', '-q', '-r', 'leaks'], path, 'alone', signal)
  } catch (error) {
    throw damaged(path, error)
  }
}

/** `qemu-img check`, which must find nothing. Throws `node_broken`. */
export async function requireSoundDisk(path: string, signal: AbortSignal): Promise<void> {
  try {
    await qemuImg(['check', '-q'], path, 'alone', signal)
  } catch (error) {
    throw damaged(path, error)
  }
}

/** Only the name in the header is changed: neither the old nor the new base is opened (`-u`). */
async function nameBase(path: string, name: string | null, signal: AbortSignal): Promise<void> {
  const base = name === null ? ['-b', ''] : ['-b', name, '-F', 'qcow2']
  try {
    await qemuImg(['rebase', '-q', '-u', '-f', 'qcow2', ...base], path, 'by name', signal)
  } catch (error) {
    throw copyFailure('the name of its base', error)
  }
}

/** What a guest reads: through the old disk over the old base, and through the new ones. */
async function requireSameContent(request: DiskCopyRequest): Promise<void> {
  const before = [request.source, ...(request.oldBase === null ? [] : [request.oldBase])]
  const after = [request.target, ...(request.base === null ? [] : [request.base.path])]
  await requireEqual(before, after, request.source, request.signal)
}

/** Compares two disks with all that they stand on, nearest first. Throws `checksum_mismatch`. */
export async function requireEqual(
  before: readonly string[],
  after: readonly string[],
  what: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await withOpenChain(before, (left, leftFds) =>
      withOpenChain(after, (right, rightFds) =>
        runCommand('qemu-img', ['compare', '-q', json(left), json(shifted(right, leftFds.length))], {
          ...limited(workerIdentity(), signal, 0),
          extraFds: [...leftFds, ...rightFds],
        }),
      ),
    )
  } catch (error) {
    if (error instanceof CommandError && error.exitCode === 1) throw mismatch(what)
    throw copyFailure('the comparison', error)
  }
}

/** The second chain's descriptors come after the first one's. */
function shifted(chain: object, by: number): object {
  return JSON.parse(
    JSON.stringify(chain).replaceAll(/\/proc\/self\/fd\/(\d+)/g, (_, fd: string) => `/proc/self/fd/${Number(fd) + by}`),
  ) as object // it was one
}

const json = (node: object) => `json:${JSON.stringify(node)}`

/** In the disk's own folder, which is the worker's. `alone`: its base is not opened. */
async function qemuImg(args: string[], path: string, how: 'alone' | 'by name', signal: AbortSignal): Promise<void> {
  const name = basename(path)
  const node = { driver: 'qcow2', backing: null, file: { driver: 'file', filename: name } }
  const { size } = await stat(path)
  await runCommand('qemu-img', [...args, how === 'alone' ? json(node) : `./${name}`], {
    ...limited(workerIdentity(), signal, size),
    cwd: dirname(path),
  })
}

/** The one folder of this migration on the file system of the disks. */
export const diskFolder = (layout: Layout, folder: string) => join(layout.overlays, '.staging', folder)
export const stagedDisk = (layout: Layout, folder: string, nodeId: string) =>
  join(diskFolder(layout, folder), overlayFileName(nodeId))

/** The worker's tools write in it, so that they need no right on any other. */
export async function makeDiskFolder(layout: Layout, folder: string): Promise<void> {
  const path = diskFolder(layout, folder)
  await mkdir(path, { recursive: true, mode: 0o700 })
  const worker = workerIdentity()
  if (worker) await chown(path, worker.uid, worker.gid)
}

/** Gives a staged disk its name and keeps the staged one, by which an undo knows its own. Throws `busy`. */
export async function publishDisk(layout: Layout, folder: string, nodeId: string): Promise<void> {
  await link(stagedDisk(layout, folder, nodeId), overlayFile(layout, nodeId)).catch((error: unknown) => {
    if (errnoOf(error) !== 'EEXIST') throw error
    throw new SandlabError('busy', `Could not bring in ${overlayFileName(nodeId)}: there is a file of that name.`, {
      hint: 'It came there while the disks were copied. Nothing was changed; run it again.',
    })
  })
}

/** Whether the file of that name is the one that was published from this folder. */
export async function isPublished(layout: Layout, folder: string, nodeId: string): Promise<boolean> {
  const [staged, published] = await Promise.all([
    inodeOf(stagedDisk(layout, folder, nodeId)),
    inodeOf(overlayFile(layout, nodeId)),
  ])
  return staged !== undefined && staged === published
}

/** An old disk that has the very name the new one gets: it waits beside, until it is deleted on purpose. */
export const asideFile = (layout: Layout, folder: string, nodeId: string) =>
  join(layout.overlays, '.migrated', folder, overlayFileName(nodeId))

export async function setAside(layout: Layout, folder: string, nodeId: string): Promise<void> {
  const aside = asideFile(layout, folder, nodeId)
  await mkdir(dirname(aside), { recursive: true, mode: 0o700 })
  await rename(overlayFile(layout, nodeId), aside)
  await fsyncDirectory(dirname(aside))
}

/** Absent is success; a name that is taken again stays so, and the old disk stays where it is. */
export async function bringBack(layout: Layout, folder: string, nodeId: string): Promise<void> {
  const aside = asideFile(layout, folder, nodeId)
  if ((await inodeOf(aside)) === undefined) return
  await link(aside, overlayFile(layout, nodeId))
  await unlink(aside)
}

export async function removeDiskFolder(layout: Layout, folder: string): Promise<void> {
  await rm(diskFolder(layout, folder), { recursive: true, force: true })
}

async function inodeOf(path: string): Promise<string | undefined> {
  try {
    const { dev, ino } = await lstat(path)
    return `${dev}:${ino}`
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function inUse(path: string): SandlabError {
  return new SandlabError('busy', `The old disk ${path} is being written.`, {
    hint: 'Stop the old SandLabX with its nodes, then run this again. Nothing was changed.',
  })
}

function mismatch(path: string): SandlabError {
  return new SandlabError('checksum_mismatch', `The copy of ${path} does not read as the old one.`, {
    hint: 'Look at the disks and the kernel log of this machine. The old disk is as it was, and nothing came over.',
  })
}

function damaged(path: string, cause: unknown): SandlabError {
  if (!(cause instanceof CommandError)) return copyFailure('the check', cause) as SandlabError
  return new SandlabError(
    'node_broken',
    `The disk ${basename(path)} is damaged: \`qemu-img check\` finds errors in it.`,
    {
      hint: 'Nothing came over. Repair the old disk with `qemu-img check -r all` (on a copy), or leave its node behind with --without NAME.',
      cause,
    },
  )
}
