import { lstat, mkdir, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { driveSidecarSchema, type DriveRecord, type DriveSidecar } from '../domain/drive.js'
import { SandlabError } from '../domain/error.js'
import { overlayApiPath, overlayFile, overlayStagingDir, type Layout } from '../domain/layout.js'
import {
  errnoOf,
  fsyncDirectory,
  publishFile,
  stagingName,
  storageFailure,
  writeFileDurably,
} from '../system/durable-file.js'
import { workerIdentity, type Identity } from '../system/identity.js'
import { writeQcow2Overlay } from '../system/qcow2-overlay.js'

/** Where a drive's file is, absolute. */
export function drivePath(layout: Pick<Layout, 'overlays'>, { file }: Pick<DriveRecord, 'file'>): string {
  return file.includes('/') ? file : `${layout.overlays}/${file}`
}

/** As the API shows it: `/overlays/…`, `/images/…`, or a person's own path. */
export function driveApiPath(layout: Pick<Layout, 'images'>, { file }: Pick<DriveRecord, 'file'>): string {
  if (!file.includes('/')) return overlayApiPath(file)
  return file.startsWith(`${layout.images}/`) ? `/images/${file.slice(layout.images.length + 1)}` : file
}

export interface NewDriveFile {
  layout: Layout
  /** File name in `overlays/`. */
  file: string
  virtualSizeBytes: number
  /** A layer's file name in `overlays/`; null: it stands alone. */
  backingFile: string | null
  /** Whose QEMU writes it; undefined when we are not root. */
  owner: Identity | undefined
}

/**
 * Makes an empty, sparse drive: written and fsynced under a staging name, then given its own. Throws `busy` when there is
 * a file of that name (which stays), `no_space`, `state_io`; leaves nothing.
 */
export async function createDriveFile(plan: NewDriveFile): Promise<void> {
  const { layout, file, virtualSizeBytes, backingFile, owner } = plan
  const staging = stagingName(join(overlayStagingDir(layout), file))
  try {
    await mkdir(overlayStagingDir(layout), { recursive: true, mode: 0o700 })
    await writeQcow2Overlay(staging, { backingFile, virtualSizeBytes }, { owner })
    await publishFile(staging, `${layout.overlays}/${file}`)
  } catch (error) {
    await rm(staging, { force: true }).catch(() => undefined) // the first error is the one to tell
    if (errnoOf(error) === 'EEXIST') {
      throw new SandlabError('busy', `Could not make ${file}: it exists already.`, { cause: error })
    }
    throw storageFailure(`make ${file}`, error)
  }
}

/** Takes back a creation: for a drive that no guest has had. Absent is success. */
export async function discardDriveFile(layout: Layout, file: string): Promise<void> {
  await rm(`${layout.overlays}/${file}`, { force: true })
  await fsyncDirectory(layout.overlays)
}

/** Whom a node's disks belong to: the owner of its root disk (ADR 0007); undefined when we are not root. */
export async function diskOwner(layout: Layout, nodeId: string): Promise<Identity | undefined> {
  const worker = workerIdentity()
  if (!worker) return undefined
  return lstat(overlayFile(layout, nodeId)).then(
    ({ uid, gid }) => ({ uid, gid }),
    () => worker, // the next start gives it to the right one
  )
}

/** `drive_<uuid>.json` of `drive_<uuid>.qcow2`; undefined for a file of another name. */
export function driveSidecarPath(layout: Layout, file: string): string | undefined {
  const name = /^(drive_[0-9a-f-]{36})\.qcow2$/.exec(basename(file))?.[1]
  return name === undefined ? undefined : `${layout.overlays}/${name}.json`
}

/** Says beside a drive that nobody has any more whose it was, durably. */
export async function writeDriveSidecar(
  layout: Layout,
  record: DriveRecord,
  node: DriveSidecar['node'],
): Promise<void> {
  const path = driveSidecarPath(layout, record.file)
  if (path === undefined) return
  const sidecar: DriveSidecar = { kind: 'sandlabx-drive', schema: 1, record, node }
  await writeFileDurably(path, `${JSON.stringify(sidecar, undefined, 2)}\n`)
}

/** Undefined when there is none, or none that can be read. */
export async function readDriveSidecar(layout: Layout, file: string): Promise<DriveSidecar | undefined> {
  const path = driveSidecarPath(layout, file)
  if (path === undefined) return undefined
  try {
    return driveSidecarSchema.safeParse(JSON.parse(await readFile(path, 'utf8'))).data
  } catch {
    return undefined // absent, or not JSON: then it says nothing about the drive
  }
}

/** Absent is success. */
export async function removeDriveSidecar(layout: Layout, file: string): Promise<void> {
  const path = driveSidecarPath(layout, file)
  if (path === undefined) return
  await rm(path, { force: true })
  await fsyncDirectory(layout.overlays)
}
