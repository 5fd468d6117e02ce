import { layerFile, memoryFile } from '../../domain/layout.js'
import type { Snapshot } from '../../domain/snapshot.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { recordOf, type NodesContext } from '../../nodes/context.js'
import { usedBytes } from '../../storage/overlays.js'
import { layerBytes } from '../chains.js'
import { diskPath, ownDisk } from '../own-disks.js'
import type { Fate } from './snapshot-fates.js'

/** Bytes that its layers and its memory hold on the disk. */
export async function bytesOfSnapshot({ layout }: NodesContext, { id, disks, memory }: Snapshot): Promise<number> {
  const paths = [...disks.map(({ layerId }) => layerFile(layout, layerId)), ...(memory ? [memoryFile(layout, id)] : [])]
  const sizes = await Promise.all(paths.map(usedBytes))
  return sizes.reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0)
}

/** What the merges of a deleted snapshot write, at most. */
export async function bytesOfDelete(context: NodesContext, fates: readonly Fate[]): Promise<number> {
  const each = await Promise.all(
    fates.map(async (fate) => {
      if (fate.kind === 'free' || fate.kind === 'stays') return 0
      const lower = await layerBytes(context, fate.layerId)
      if (fate.kind === 'layer') return lower + (await layerBytes(context, fate.into))
      const record = recordOf(context, fate.merge.nodeId)
      const disk = ownDisk(record, fate.merge.driveId)
      // A running guest's disk takes it up itself.
      if (!disk || isAlive(context, record)) return lower
      return lower + ((await usedBytes(diskPath(context.layout, disk))) ?? 0)
    }),
  )
  return each.reduce((sum, bytes) => sum + bytes, 0)
}
