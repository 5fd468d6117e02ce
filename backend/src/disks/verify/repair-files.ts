import { link, lstat, mkdir, rm, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { SandlabError } from '../../domain/error.js'
import { overlayStagingDir, type Layout } from '../../domain/layout.js'
import { diskOwner } from '../../storage/drive-files.js'
import { errnoOf, fsyncDirectory } from '../../system/durable-file.js'
import { writeQcow2Overlay } from '../../system/qcow2-overlay.js'
import type { RepairOf } from './repair-intent.js'

/**
 * Files that get another name by a repair. Both names are there for a moment: a kill leaves a file that has both, which
 * tells the next start that it was ours. Nothing is ever replaced. Each may be called again.
 */

/** Beside its later place until the repair is over: so it is told from a drive that somebody else has made. */
const stagingOf = (layout: Layout, { staging }: RepairOf<'recreate-drive'>) => join(overlayStagingDir(layout), staging)

export async function makeDrive(layout: Layout, intent: RepairOf<'recreate-drive'>): Promise<void> {
  const { drive, backingFile, nodeId } = intent
  const staging = stagingOf(layout, intent)
  await mkdir(overlayStagingDir(layout), { recursive: true, mode: 0o700 })
  await rm(staging, { force: true })
  const owner = await diskOwner(layout, nodeId)
  await writeQcow2Overlay(staging, { backingFile, virtualSizeBytes: drive.sizeBytes }, { owner })
  await giveName(staging, `${layout.overlays}/${drive.file}`)
  await fsyncDirectory(layout.overlays)
}

export async function takeDriveBack(layout: Layout, intent: RepairOf<'recreate-drive'>): Promise<void> {
  const staging = stagingOf(layout, intent)
  const made = `${layout.overlays}/${intent.drive.file}`
  if (await isSame(staging, made)) await unlink(made)
  await forgetStaging(layout, intent)
}

export async function forgetStaging(layout: Layout, intent: RepairOf<'recreate-drive'>): Promise<void> {
  await rm(stagingOf(layout, intent), { force: true })
  await fsyncDirectory(layout.overlays)
}

/** A disk that nobody has gets the name that a node's record says. */
export async function moveDisk(folder: string, { from, to }: { from: string; to: string }): Promise<void> {
  const [source, target] = [join(folder, from), join(folder, to)]
  if (!(await isSame(source, target))) await giveName(source, target)
  await unlink(source)
  await fsyncDirectory(folder)
}

/** `moveDisk` the other way, however far it came; when it never began, nothing happens. */
export async function moveDiskBack(folder: string, { from, to }: { from: string; to: string }): Promise<void> {
  const [source, target] = [join(folder, from), join(folder, to)]
  if (await isSame(source, target)) await unlink(target)
  else if (!(await exists(source)) && (await exists(target))) {
    await giveName(target, source)
    await unlink(target)
  }
  await fsyncDirectory(folder)
}

/** What stands at `to` gets the name `aside`; then `to` is a second name of `from`. */
export async function putInPlace(folder: string, { from, to, aside }: RepairOf<'rebase'>): Promise<void> {
  if (from === to) return
  const [source, target] = [join(folder, from), join(folder, to)]
  if (await isSame(source, target)) return
  if (await exists(target)) await moveDisk(folder, { from: to, to: aside })
  await giveName(source, target)
  await fsyncDirectory(folder)
}

export async function takeFromPlace(folder: string, { from, to, aside }: RepairOf<'rebase'>): Promise<void> {
  if (from === to) return
  const target = join(folder, to)
  if (await isSame(join(folder, from), target)) await unlink(target)
  if (await exists(join(folder, aside))) await moveDiskBack(folder, { from: to, to: aside })
  await fsyncDirectory(folder)
}

/** Throws `storage_in_use`: another file has that name by now. */
async function giveName(source: string, target: string): Promise<void> {
  await link(source, target).catch((error: unknown) => {
    if (errnoOf(error) !== 'EEXIST') throw error
    throw new SandlabError('storage_in_use', `${target} is there now.`, {
      hint: 'Nothing was changed. Verify once more to see how things are.',
    })
  })
}

async function isSame(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([inode(one), inode(other)])
  return first !== null && first === second
}

async function exists(path: string): Promise<boolean> {
  return (await inode(path)) !== null
}

async function inode(path: string): Promise<string | null> {
  return lstat(path).then(
    ({ dev, ino }) => `${dev}:${ino}`,
    (error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return null
      throw error
    },
  )
}
