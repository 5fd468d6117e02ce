import { realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { DriveRecord } from '../domain/drive.js'
import { chainOf, type Layer } from '../domain/layer.js'
import type { Layout } from '../domain/layout.js'
import type { Identity } from '../system/identity.js'
import { errnoOf } from '../system/durable-file.js'
import { diskOwner, driveApiPath, drivePath } from './drive-files.js'
import { bitsFor, headerFault, look, readHeader, unchangedFault, type RecordedChain } from './overlay-faults.js'

/** What a look at a drive has to know. */
export interface RecordedDrive {
  id: string
  /** Absolute. */
  path: string
  /** As people know it. */
  shown: string
  format: 'qcow2' | 'raw'
  /** What its header must say; null: a person's own file may have any size. */
  sizeBytes: number | null
  readOnly: boolean
  chain: RecordedChain
  /** Outside `overlays/`: its rights are somebody else's business. */
  foreign: boolean
  /** Whose QEMU opens it; undefined: ours. */
  user: Identity | undefined
}

export interface DriveFault {
  missing: boolean
  /** A sentence that names the drive and its file. */
  reason: string
}

const ALONE: RecordedChain = { layers: [], base: false, missing: null }

/** Looks whether a drive could be given to a guest: there, plain, whole, and usable by the node's user. */
export async function driveFault(layout: Layout, drive: RecordedDrive): Promise<DriveFault | undefined> {
  const said = `Its drive ${drive.id} (${drive.shown})`
  const { stats, fault } = await look(drive.path)
  if (!stats) return { missing: fault === 'is missing', reason: `${said} ${fault}.` }
  const found = (what: string) => ({ missing: false, reason: `${said} ${what}.` })
  if (!stats.isFile()) return found('is not a plain file')
  if (drive.foreign) {
    const denied = await foreignFault(layout, drive)
    if (denied !== undefined) return found(denied)
  }
  if (drive.format === 'raw') return undefined
  const header = await readHeader(drive.path)
  if (typeof header === 'string') return found(`is damaged: ${header}`)
  if (drive.chain.missing !== null) return found(`stands on the layer ${drive.chain.missing}, which has no record`)
  const nearest = drive.chain.layers[0]?.file ?? null
  const disagreement = headerFault(header, { diskBytes: drive.sizeBytes ?? header.virtualSizeBytes }, nearest)
  if (disagreement !== undefined) return found(disagreement)
  for (const layer of drive.chain.layers) {
    const layerFault = await unchangedFault(`${layout.overlays}/${layer.file}`, layer, drive.user)
    if (layerFault !== undefined) return found(`stands on ${layer.file}, which ${layerFault}`)
  }
  return undefined
}

/** As `driveFault`, for one of a node's drives. */
export async function recordedDriveFault(
  layout: Layout,
  nodeId: string,
  drive: DriveRecord,
  layers: readonly Layer[],
): Promise<DriveFault | undefined> {
  return driveFault(layout, {
    id: drive.id,
    path: drivePath(layout, drive),
    shown: driveApiPath(layout, drive),
    format: drive.format,
    sizeBytes: drive.source === 'automatic' ? drive.sizeBytes : null,
    readOnly: drive.readOnly,
    chain: drive.backing.kind === 'layer' ? chainOf(layers, drive.backing) : ALONE,
    foreign: drive.file.includes('/'),
    user: await diskOwner(layout, nodeId),
  })
}

async function foreignFault(layout: Layout, { path, readOnly, user }: RecordedDrive): Promise<string | undefined> {
  const isOurs = path.startsWith(`${layout.images}/`) // its folder may well lie behind a link
  const real = isOurs ? path : await realpath(path).catch(() => path)
  if (real !== path) return `is now reached through a symbolic link, and is really ${real}`
  return accessFault(layout, path, user, readOnly ? 'read' : 'write')
}

/**
 * Why a user can't open a file, as the rest of a sentence; undefined when it can. We never change a person's file. What
 * lies in `images/` is reached as base images are, whatever the folders above allow.
 */
export async function accessFault(
  layout: Pick<Layout, 'images'>,
  path: string,
  identity: Identity | undefined,
  access: 'read' | 'write',
): Promise<string | undefined> {
  const user = identity ?? { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
  if (user.uid === 0) return undefined
  const who = `the user that runs this node's QEMU (uid ${user.uid})`
  for (let folder = dirname(path); folder !== layout.images; folder = dirname(folder)) {
    const denied = await denies(folder, user, 0o1)
    if (denied) return `can't be reached by ${who}: allow it to enter ${folder} (\`chmod o+x ${folder}\`)`
    if (folder === dirname(folder)) break
  }
  const needed = access === 'read' ? 0o4 : 0o6
  if (!(await denies(path, user, needed))) return undefined
  const letters = access === 'read' ? 'r' : 'rw'
  const advice = access === 'read' ? '' : ', or make the drive read-only'
  const verb = access === 'read' ? 'read' : 'read and written'
  return `can't be ${verb} by ${who}: allow it (\`chmod o+${letters}\`)${advice}`
}

async function denies(path: string, user: Identity, needed: number): Promise<boolean> {
  try {
    return (bitsFor(await stat(path), user) & needed) !== needed
  } catch (error) {
    return errnoOf(error) !== 'ENOENT'
  }
}
