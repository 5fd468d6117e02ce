import { realpath } from 'node:fs/promises'
import { basename, dirname, isAbsolute, resolve, sep } from 'node:path'
import type { DriveRecord, DriveSidecar } from '../../domain/drive.js'
import { isSandlabError, SandlabError } from '../../domain/error.js'
import type { UserId } from '../../domain/ids.js'
import type { Layout } from '../../domain/layout.js'
import type { LabState } from '../../domain/state.js'
import { checkDisk } from '../../images/header-check.js'
import { DEFAULT_LIMITS, type ImageLimits } from '../../images/image-limits.js'
import { openSuspect } from '../../images/suspect-file.js'
import type { NodesContext } from '../../nodes/context.js'
import { accessFault } from '../../storage/drive-faults.js'
import { diskOwner, drivePath, readDriveSidecar } from '../../storage/drive-files.js'
import { headerFault } from '../../storage/overlay-faults.js'
import { readSidecars } from '../../storage/sidecars.js'
import { readQcow2Header } from '../../system/qcow2.js'

/** Whose files somebody may take for a drive. */
export interface DriveRights {
  /** Any file in our own folders that nothing names. */
  manageStorage: boolean
  /** Those that were this person's. */
  mayTakeFrom(ownerId: UserId): boolean
}

/** A drive may be as large as we make one. */
const LIMITS: ImageLimits = { ...DEFAULT_LIMITS, maxFileBytes: 64 * 1024 ** 4, maxVirtualBytes: 64 * 1024 ** 4 }
const PLAIN_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/

export type FoundFile = Pick<DriveRecord, 'file' | 'format' | 'sizeBytes' | 'backing'>

/**
 * Looks at a file that somebody names for a drive: in a folder that is allowed, really there and not through a link that
 * leads out, nobody else's disk, a plain disk whose header reaches for no other file, and usable by the node's user.
 *
 * Throws `path_not_allowed`, `storage_not_found`, `storage_in_use`, `hostile_header`, `not_allowed`; changes nothing.
 */
export async function findDriveFile(
  context: NodesContext,
  nodeId: string,
  asked: { path: string; readOnly: boolean },
  rights: DriveRights,
): Promise<FoundFile> {
  const { layout, store } = context
  const { real, file } = await allowedFile(context, asked.path)
  const sidecar = file.includes('/') ? undefined : await readDriveSidecar(layout, file)
  refuseNamed(layout, store.data, { file, readOnly: asked.readOnly })
  if (dirname(real) === (await realOf(layout.overlays)) || dirname(real) === (await realOf(layout.images))) {
    await refuseForeign(context, basename(real), sidecar, rights)
  }
  if (basename(file).startsWith('layer_') && !asked.readOnly) {
    throw new SandlabError('storage_in_use', `${asked.path} is a layer: disks may stand on what is in it now.`, {
      hint: 'Add it read-only, or attach it as a node.',
    })
  }
  const found = await checkedFile(context, asked.path, real, sidecar)
  const owner = await diskOwner(layout, nodeId)
  const denied = file.includes('/')
    ? await accessFault(layout, file, owner, asked.readOnly ? 'read' : 'write')
    : undefined
  if (denied !== undefined) {
    throw new SandlabError('not_allowed', `${asked.path} ${denied}.`, {
      hint: 'SandLabX never changes the rights of your files. Nothing was changed.',
    })
  }
  return { file, ...found }
}

/** Another drive of that file, unless both only read it. Pure. Throws `storage_in_use`. */
export function refuseSharedFile(
  layout: Pick<Layout, 'overlays'>,
  state: Pick<Readonly<LabState>, 'nodes'>,
  drive: Pick<DriveRecord, 'file' | 'readOnly'>,
  but?: { nodeId: string; driveId: string },
): void {
  for (const node of state.nodes) {
    const other = node.drives.find(
      (one) =>
        drivePath(layout, one) === drivePath(layout, drive) &&
        !(one.readOnly && drive.readOnly) &&
        !(node.id === but?.nodeId && one.id === but.driveId),
    )
    if (other) throw inUse(drive.file, `the drive ${other.id} of ${node.name}`)
  }
}

async function allowedFile(context: NodesContext, path: string): Promise<{ real: string; file: string }> {
  const { layout, rules } = context
  const managed = [
    { prefix: '/overlays/', folder: layout.overlays },
    { prefix: '/images/', folder: layout.images },
  ]
  if (!isAbsolute(path)) throw notAllowed(path, 'It must be a whole path, beginning with a slash.')
  const ours = managed.find(({ prefix }) => path.startsWith(prefix))
  const place = resolve(ours ? `${ours.folder}/${path.slice(ours.prefix.length)}` : path)
  const folders = [...managed.map(({ folder }) => folder), ...(rules.importFolders ?? [])]
  // What lies deeper in our folders is nobody's.
  if (ours && dirname(place) !== ours.folder) throw notAllowed(path)
  // Said before it is looked for: whether there is such a file is nobody's business.
  if (!folders.some((folder) => isWithin(folder, place))) throw notAllowed(path)
  const real = await realpath(place).catch((error: unknown) => {
    throw new SandlabError('storage_not_found', `There is no file ${path}.`, { cause: error })
  })
  for (const { prefix, folder } of managed) {
    if (dirname(real) !== (await realOf(folder))) continue
    if (!PLAIN_NAME.test(basename(real)) || real.endsWith('.json')) throw notAllowed(path)
    return { real, file: prefix === '/overlays/' ? basename(real) : `${folder}/${basename(real)}` }
  }
  const secret = await Promise.all([layout.state, layout.run, layout.overlays, layout.images].map(realOf))
  if (secret.some((folder) => isWithin(folder, real))) throw notAllowed(path)
  const open = await Promise.all((rules.importFolders ?? []).map(realOf))
  if (!open.some((folder) => isWithin(folder, real))) throw notAllowed(path)
  return { real, file: real }
}

function refuseNamed(layout: Layout, state: Readonly<LabState>, drive: Pick<DriveRecord, 'file' | 'readOnly'>): void {
  const path = drivePath(layout, drive)
  for (const node of state.nodes) {
    if (path === `${layout.overlays}/${node.overlayFile}`) throw inUse(drive.file, `the disk of ${node.name}`)
  }
  refuseSharedFile(layout, state, drive)
  if (state.layers.some(({ file }) => path === `${layout.overlays}/${file}`)) {
    throw inUse(drive.file, 'a layer that disks or snapshots stand on')
  }
  const image = state.images.find((one) =>
    [one.file, ...Object.keys(one.bootFiles)].some((file) => path === `${layout.images}/${file}`),
  )
  if (image) throw inUse(drive.file, `the base image ${image.id}`)
}

/** What was somebody's stays theirs, also when nothing names it any more. */
async function refuseForeign(
  { layout }: NodesContext,
  name: string,
  sidecar: DriveSidecar | undefined,
  rights: DriveRights,
): Promise<void> {
  if (rights.manageStorage) return
  const { found } = sidecar ? { found: [] } : await readSidecars(layout)
  const ownerId = sidecar?.node.ownerId ?? found.find(({ record }) => record.overlayFile === name)?.record.ownerId
  if (ownerId !== undefined && rights.mayTakeFrom(ownerId)) return
  throw new SandlabError('not_allowed', `You may not take ${name} for a drive: it was not of one of your people.`, {
    hint: 'Ask an administrator.',
  })
}

async function checkedFile(
  context: NodesContext,
  path: string,
  real: string,
  sidecar: DriveSidecar | undefined,
): Promise<Omit<FoundFile, 'file'>> {
  const { file } = await opened(path, real)
  try {
    const layered = sidecar && (await onItsLayer(context, file, sidecar))
    if (layered) return layered
    const { format, virtualSizeBytes } = await checkDisk(file, LIMITS)
    return { format, sizeBytes: virtualSizeBytes, backing: { kind: 'none' } }
  } catch (error) {
    throw hostile(path, error)
  } finally {
    await file.close()
  }
}

/** A drive of ours that has snapshots stands on a layer: taken again with it, while that is there. */
async function onItsLayer(
  { store }: NodesContext,
  file: Awaited<ReturnType<typeof openSuspect>>['file'],
  { record }: DriveSidecar,
): Promise<Omit<FoundFile, 'file'> | undefined> {
  const { backing } = record
  if (backing.kind !== 'layer') return undefined
  const layer = store.data.layers.find(({ id }) => id === backing.layerId)
  const header = await readQcow2Header(file)
  if (!layer || headerFault(header, { diskBytes: header.virtualSizeBytes }, layer.file) !== undefined) return undefined
  return { format: 'qcow2', sizeBytes: header.virtualSizeBytes, backing }
}

async function opened(path: string, real: string) {
  return openSuspect(real).catch((error: unknown) => {
    if (isSandlabError(error, 'not_found')) {
      throw new SandlabError('storage_not_found', `There is no file ${path}.`, { cause: error })
    }
    throw hostile(path, error)
  })
}

function hostile(path: string, error: unknown): unknown {
  if (!isSandlabError(error, 'image_refused')) return error
  const { message, hint, details } = error
  return new SandlabError('hostile_header', `${path} can't be a drive: ${message}`, { hint, details, cause: error })
}

function inUse(file: string, by: string): SandlabError {
  return new SandlabError('storage_in_use', `${basename(file)} is in use: it is ${by}.`, {
    hint: 'Two guests that write to one disk destroy what is on it. Clone the node, or add another file.',
  })
}

function notAllowed(path: string, why = 'Its folder is not one of those that are allowed.'): SandlabError {
  return new SandlabError('path_not_allowed', `A drive can't be taken from ${path}. ${why}`, {
    hint: 'Leave the path out, then a drive is made; or start SandLabX with SANDLABX_IMPORT_FOLDERS naming the folder.',
  })
}

function isWithin(folder: string, path: string): boolean {
  const whole = resolve(folder)
  return path.startsWith(whole === sep ? sep : whole + sep)
}

function realOf(folder: string): Promise<string> {
  return realpath(folder).catch(() => folder)
}
