import { stat } from 'node:fs/promises'
import { ROOT_DRIVE } from '../domain/drive.js'
import { overlayFile, type Layout } from '../domain/layout.js'
import type { NodeRecord, Suspended } from '../domain/node.js'
import { formatBytes } from '../domain/units.js'
import { drivePath } from '../storage/drive-files.js'
import { errnoOf } from '../system/durable-file.js'

type DiskMark = Suspended['disks'][number]

/** Length and time of each disk that the guest may write to. Call while nothing runs on them; a missing one is left out. */
export async function marksOf(layout: Layout, record: NodeRecord): Promise<DiskMark[]> {
  const disks = [
    { driveId: ROOT_DRIVE as string, path: overlayFile(layout, record.id), readOnly: record.rootDrive.readOnly },
    ...record.drives.map((drive) => ({ driveId: drive.id, path: drivePath(layout, drive), readOnly: drive.readOnly })),
  ]
  const marks = await Promise.all(
    disks
      .filter(({ readOnly }) => !readOnly)
      .map(async ({ driveId, path }) => {
        const found = await statOrNull(path)
        return found ? [{ driveId, sizeBytes: found.size, mtimeMs: found.mtimeMs }] : []
      }),
  )
  return marks.flat()
}

/** Which disk is not as it was, as `the drive data`; undefined: all are. A copy of the folders keeps whole seconds. Pure. */
export function changedDisk(before: readonly DiskMark[], now: readonly DiskMark[]): string | undefined {
  const isSame = (one: DiskMark, other: DiskMark | undefined) =>
    one.sizeBytes === other?.sizeBytes && Math.floor(one.mtimeMs / 1000) === Math.floor(other.mtimeMs / 1000)
  const idOf = ({ driveId }: DiskMark) => driveId
  const changed = before.find(
    (mark) =>
      !isSame(
        mark,
        now.find((other) => idOf(other) === idOf(mark)),
      ),
  )
  const added = now.find((mark) => !before.some((other) => idOf(other) === idOf(mark)))
  const driveId = (changed ?? added)?.driveId
  if (driveId === undefined) return undefined
  return driveId === ROOT_DRIVE ? 'its disk' : `its drive ${driveId}`
}

/** Why a node can't go on from its saved memory, as a sentence; undefined when nothing speaks against it. */
export async function memoryFault(layout: Layout, record: NodeRecord): Promise<string | undefined> {
  const { suspended } = record
  if (!suspended) return 'It is not suspended.'
  const file = await statOrNull(`${layout.overlays}/${suspended.memoryFile}`)
  if (!file) return 'The file with its memory is missing.'
  if (file.size !== suspended.sizeBytes) {
    return `The file with its memory has ${formatBytes(file.size)}, not ${formatBytes(suspended.sizeBytes)}.`
  }
  const changed = changedDisk(suspended.disks, await marksOf(layout, record))
  return changed === undefined ? undefined : `${changed.replace(/^i/, 'I')} was changed since its memory was saved.`
}

/** As long as this machine is not started anew, times are exact: whether a guest has written anything since. */
export async function isUntouchedSince(layout: Layout, record: NodeRecord, suspended: Suspended): Promise<boolean> {
  const now = await marksOf(layout, record)
  return JSON.stringify(now) === JSON.stringify(suspended.disks)
}

async function statOrNull(path: string) {
  return stat(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return null
    throw error
  })
}
