import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { driveIdSchema, type DriveRecord } from '../domain/drive.js'
import { SandlabError } from '../domain/error.js'
import { layerIdSchema } from '../domain/ids.js'
import { backingSchema, chainOf, layerSchema } from '../domain/layer.js'
import { driveFileName } from '../domain/layout.js'
import type { NodeRecord } from '../domain/node.js'
import type { Snapshot } from '../domain/snapshot.js'
import { measureCopy } from '../storage/chain-files.js'
import { readerOf } from '../storage/layer-copies.js'
import { usedBytes } from '../storage/overlays.js'
import type { NodesContext } from './context.js'

/** A drive of the source that its clones have, too: one that we made. */
export const clonedDriveSchema = z.object({
  driveId: driveIdSchema,
  /** The source's file in `overlays/`; null: it is cloned from a snapshot, and not looked at. */
  file: z.string().nullable(),
  sizeBytes: z.int(),
  /** Of the layer that it may become. */
  layerId: layerIdSchema,
  /** Found out by the steps, and again when they run again. */
  layer: layerSchema.nullable(),
  /** What the clones' drives hold at first, besides the file of a full clone's source. */
  from: backingSchema,
})
export type ClonedDrive = z.infer<typeof clonedDriveSchema>

/** Those of the source, or of its snapshot. Pure, but for the ids. */
export function clonedDrives(source: NodeRecord, snapshot: Snapshot | undefined): ClonedDrive[] {
  return source.drives.flatMap(({ id, source: kind, file, sizeBytes, backing }): ClonedDrive[] => {
    if (kind !== 'automatic') return []
    const drive = { driveId: id, sizeBytes, layerId: layerIdSchema.parse(randomUUID()), layer: null }
    if (!snapshot) return [{ ...drive, file, from: backing }]
    const kept = snapshot.disks.find(({ driveId }) => driveId === id)
    return kept ? [{ ...drive, file: null, from: { kind: 'layer', layerId: kept.layerId } }] : []
  })
}

/** A clone's own records of them. What they stand on is known when the source has been looked at. */
export function drivesOfClone(source: NodeRecord, cloned: readonly ClonedDrive[], at: string): DriveRecord[] {
  return source.drives.flatMap((drive) => {
    const found = cloned.find(({ driveId }) => driveId === drive.id)
    if (!found) return []
    const fresh = {
      file: driveFileName(randomUUID()),
      backing: { kind: 'none' as const },
      createdAt: at,
      changedAt: null,
    }
    return [{ ...drive, ...fresh }]
  })
}

/** What is said about drives that the clones do not have. Pure. */
export function leftBehind(source: NodeRecord, cloned: readonly ClonedDrive[]): string[] {
  return source.drives.flatMap(({ id, source: kind, file }) => {
    if (kind === 'file') return [`The drive ${id} is a file of your own (${file}): no clone has it.`]
    if (cloned.some(({ driveId }) => driveId === id)) return []
    return [`The drive ${id} is not in the snapshot: no clone has it.`]
  })
}

/** All disks are cloned at one moment, and a guest writes to several. Throws `wrong_status`. */
export function refuseRunningDrives(source: NodeRecord, cloned: readonly ClonedDrive[], isAlive: boolean): void {
  const read = cloned.filter(({ file }) => file !== null).map(({ driveId }) => driveId)
  if (!isAlive || read.length === 0) return
  throw new SandlabError('wrong_status', `${source.name} runs and has further drives: ${read.join(', ')}.`, {
    hint: 'Stop it to clone it with them, or take a snapshot and clone that. Nothing was changed.',
  })
}

/** Room for one clone's drives, without margin. */
export async function bytesForDrives(
  { layout, rules, store }: NodesContext,
  cloned: readonly ClonedDrive[],
  full: boolean,
): Promise<number> {
  const sizes = cloned.map(async ({ file, from }) => {
    if (!full) return rules.growthReserveBytes
    const below = chainOf(store.data.layers, from).layers.map((layer) => `${layout.overlays}/${layer.file}`)
    const top = file === null ? [] : [`${layout.overlays}/${file}`]
    const files = [...top, ...(from.kind === 'layer' ? below : [])]
    const [first] = files
    if (first === undefined || (await usedBytes(first)) === null) return rules.growthReserveBytes
    return rules.growthReserveBytes + (await measureCopy(files, await readerOf(first)))
  })
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0)
}
