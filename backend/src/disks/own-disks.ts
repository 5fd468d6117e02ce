import { join } from 'node:path'
import { ROOT_DRIVE } from '../domain/drive.js'
import type { Backing } from '../domain/layer.js'
import type { Layout } from '../domain/layout.js'
import type { NodeRecord } from '../domain/node.js'

/** A disk file that we made for a node: what snapshots are of. */
export interface OwnDisk {
  driveId: string
  /** File name in `overlays/`. */
  file: string
  backing: Backing
  /** Virtual size in bytes. */
  diskBytes: number
}

/** The root disk, then its automatic drives in their order; somebody's own files are not ours to freeze. Pure. */
export function ownDisks(record: NodeRecord): OwnDisk[] {
  const { overlayFile: file, backing, diskBytes, drives } = record
  return [
    { driveId: ROOT_DRIVE, file, backing, diskBytes },
    ...drives
      .filter(({ source }) => source === 'automatic')
      .map((drive) => ({ driveId: drive.id, file: drive.file, backing: drive.backing, diskBytes: drive.sizeBytes })),
  ]
}

/** Undefined when the node has no such disk of ours. Pure. */
export function ownDisk(record: NodeRecord, driveId: string): OwnDisk | undefined {
  return ownDisks(record).find((disk) => disk.driveId === driveId)
}

/** Within a change of state: what a disk stands on from now on, and its virtual size where that changes with it. */
export function standOn(draft: NodeRecord, driveId: string, backing: Backing, diskBytes?: number): void {
  if (driveId === ROOT_DRIVE) {
    draft.backing = backing
    if (diskBytes !== undefined) draft.diskBytes = diskBytes
    return
  }
  const drive = draft.drives.find(({ id }) => id === driveId)
  if (!drive) return
  drive.backing = backing
  if (diskBytes !== undefined) drive.sizeBytes = diskBytes
}

export function isSameBacking(one: Backing, other: Backing): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

export function diskPath(layout: Layout, { file }: Pick<OwnDisk, 'file'>): string {
  return join(layout.overlays, file)
}
