import { mkdir, readdir, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import { SandlabError } from '../domain/error.js'
import {
  imageFile,
  journalDir,
  overlayFile,
  overlayFileName,
  overlayStagingDir,
  sidecarFile,
  trashDir,
  uefiVariablesFile,
  type Layout,
} from '../domain/layout.js'
import { formatBytes } from '../domain/units.js'
import {
  errnoOf,
  fsyncDirectory,
  publishFile,
  stagingName,
  storageFailure,
  sweepStagingNames,
} from '../system/durable-file.js'
import { workerIdentity } from '../system/identity.js'
import { wholeSectors, writeQcow2Overlay } from '../system/qcow2-overlay.js'
import { sweepTrash } from './trash-folders.js'
import { ON_IMAGE, overlayFault, type RecordedBase, type RecordedChain, type RecordedDisk } from './overlay-faults.js'

export interface NewOverlay {
  layout: Layout
  nodeId: string
  /** File name in `images/`. */
  imageFile: string
  /** File name in `overlays/` of a layer that it stands on instead. */
  layerFile?: string | undefined
  /** At least the base's; rounded up to whole sectors. */
  virtualSizeBytes: number
  baseVirtualSizeBytes: number
}

/**
 * Makes the node's empty disk over its base: written and fsynced under a staging name, then given its own. It belongs to
 * the worker that runs QEMU. The path of the base in its header is relative, so that it holds in and out of a container.
 *
 * Throws `disk_too_small`, `busy` when the node has a disk already (which stays), `no_space`, `state_io`; leaves nothing.
 */
export async function createOverlay(plan: NewOverlay): Promise<void> {
  const { layout, nodeId } = plan
  const virtualSizeBytes = wholeSectors(plan.virtualSizeBytes)
  if (virtualSizeBytes < plan.baseVirtualSizeBytes) {
    throw new SandlabError(
      'disk_too_small',
      `Could not make a disk of ${formatBytes(virtualSizeBytes)}: its base has ${formatBytes(plan.baseVirtualSizeBytes)}.`,
      { details: { minimumBytes: plan.baseVirtualSizeBytes } },
    )
  }
  const staging = stagingName(join(overlayStagingDir(layout), overlayFileName(nodeId)))
  try {
    await mkdir(overlayStagingDir(layout), { recursive: true, mode: 0o700 })
    const backingFile = plan.layerFile ?? (await backingPath(layout, plan.imageFile))
    await writeQcow2Overlay(staging, { backingFile, virtualSizeBytes }, { owner: workerIdentity() })
    await publishFile(staging, overlayFile(layout, nodeId))
  } catch (error) {
    await rm(staging, { force: true }).catch(() => undefined) // the first error is the one to tell
    if (errnoOf(error) === 'EEXIST') {
      throw new SandlabError('busy', `Could not make ${overlayFileName(nodeId)}: it exists already.`, { cause: error })
    }
    throw storageFailure(`make ${overlayFileName(nodeId)}`, error)
  }
}

/** Takes back a creation: disk, record and UEFI variables, and nothing else. Only for a node that never ran. */
export async function discardOverlay(layout: Layout, nodeId: string): Promise<void> {
  for (const path of filesOf(layout, nodeId)) await rm(path, { force: true })
  await fsyncDirectory(layout.overlays)
}

/**
 * Removes what creations left that a kill ended half way, but for what an intent of the journal names: that one is taken
 * back, or gone on with. What was half purged from the trash goes, too. Called once, at the start, under the state's lock.
 */
export async function sweepOverlayStaging(layout: Layout): Promise<void> {
  const intents = await readAll(journalDir(layout))
  for (const name of await namesIn(overlayStagingDir(layout))) {
    if (intents.some((text) => text.includes(name))) continue
    await rm(join(overlayStagingDir(layout), name), { recursive: true, force: true })
  }
  await sweepStagingNames(layout.overlays)
  await sweepTrash(layout)
}

/**
 * Moves disk, record and UEFI variables of a stopped node into `overlays/.trash/<time>_<id>/`, by rename; what is not
 * there is left out. Returns that folder, or null when there was nothing. May be called again after a failure.
 */
export async function trashOverlay(layout: Layout, nodeId: string, now = new Date()): Promise<string | null> {
  const folder = join(trashDir(layout), `${now.toISOString().replaceAll(':', '-')}_${nodeId}`)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  for (const path of filesOf(layout, nodeId)) {
    await rename(path, join(folder, basename(path))).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw storageFailure(`move ${basename(path)} to the trash`, error)
    })
  }
  await fsyncDirectory(folder)
  await fsyncDirectory(layout.overlays)
  if ((await readdir(folder)).length > 0) return folder
  await rm(folder, { recursive: true })
  return null
}

/**
 * Looks whether the node could be started on its disk: the file, its header, its layers, its base. Not for a running
 * node. `reason` is a sentence for people. The base's sha256 is not read: size and time of change are compared.
 */
export async function inspectOverlay(
  layout: Layout,
  record: RecordedDisk,
  image: RecordedBase | undefined,
  chain: RecordedChain = ON_IMAGE,
): Promise<{ ok: true; usedBytes: number } | { ok: false; reason: string }> {
  const expectedBacking = await backingNameOf(layout, image, chain)
  const reason = await overlayFault(layout, record, image, chain, expectedBacking)
  if (reason !== undefined) return { ok: false, reason }
  return { ok: true, usedBytes: (await usedBytes(overlayFile(layout, record.id))) ?? 0 }
}

/** Bytes that a file holds on the disk, without its holes; null when it can't be read. */
export async function usedBytes(path: string): Promise<number | null> {
  return stat(path).then(
    (found) => found.blocks * 512,
    () => null,
  )
}

/** What the header of a disk over this chain must name; null: nothing. */
export async function backingNameOf(
  layout: Layout,
  image: Pick<RecordedBase, 'file'> | undefined,
  chain: Pick<RecordedChain, 'layers' | 'base' | 'missing'>,
): Promise<string | null> {
  const [nearest] = chain.layers
  if (nearest) return nearest.file
  if (!chain.base && chain.missing === null) return null
  return image && chain.missing === null ? await backingPath(layout, image.file).catch(() => '') : ''
}

async function readAll(folder: string): Promise<string[]> {
  const names = await namesIn(folder)
  return Promise.all(names.map((name) => readFile(join(folder, name), 'utf8').catch(() => '')))
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
}

/** `../images/<file>`: from the overlay's folder, through symbolic links, as the kernel will walk it. */
async function backingPath(layout: Layout, file: string): Promise<string> {
  const [from, to] = await Promise.all([realpath(layout.overlays), realpath(layout.images)])
  return relative(from, imageFile({ ...layout, images: to }, file))
}

function filesOf(layout: Layout, nodeId: string): string[] {
  return [overlayFile(layout, nodeId), sidecarFile(layout, nodeId), uefiVariablesFile(layout, nodeId)]
}
