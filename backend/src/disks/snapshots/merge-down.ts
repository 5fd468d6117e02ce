import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { driveIdSchema } from '../../domain/drive.js'
import { layerIdSchema, nodeIdSchema } from '../../domain/ids.js'
import { backingSchema } from '../../domain/layer.js'
import { layerFile } from '../../domain/layout.js'
import type { LabState } from '../../domain/state.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { recordOf, type NodesContext } from '../../nodes/context.js'
import { engineFailure } from '../../nodes/engine-failure.js'
import { mergeDisks } from '../../storage/merge-disks.js'
import { errnoOf, fsyncDirectory } from '../../system/durable-file.js'
import { readQcow2Header } from '../../system/qcow2.js'
import type { BulkHandle } from '../../transactions/operations.js'
import { belowOf, headerNameOf } from '../chains.js'
import { diskPath, isSameBacking, ownDisk, standOn } from '../own-disks.js'
import { stagedDisk } from './snapshot-intent.js'

/** A node's disk that takes up what is in the layers right under it, and then stands on what these stood on. */
export const mergeDownSchema = z.object({
  nodeId: nodeIdSchema,
  driveId: driveIdSchema,
  /** Nearest first. */
  layerIds: z.array(layerIdSchema).min(1),
  from: backingSchema,
  onto: backingSchema,
})
export type MergeDown = z.infer<typeof mergeDownSchema>

/** Names the merge for the engine and in staging. */
interface Operation {
  id: string
}

/**
 * Of a running node: done when it returns, with its chain whole at every moment. Of a stopped one: a new file in
 * staging, which `publishMerged` gives the disk's name. Call alone on the node; may be called again after a kill.
 */
export async function mergeDown(
  context: NodesContext,
  operation: Operation,
  { nodeId, driveId, layerIds, onto }: MergeDown,
  op: Pick<BulkHandle, 'signal' | 'bytes'>,
): Promise<void> {
  const { layout, engine } = context
  context.observations.setEngine(await engine.inspect(nodeId))
  const record = recordOf(context, nodeId)
  const disk = ownDisk(record, driveId)
  if (!disk) return
  const name = await headerNameOf(context, { imageId: record.imageId, backing: onto })
  if ((await readQcow2Header(diskPath(layout, disk))).backingFile === name) return
  if (isAlive(context, record)) {
    const key = `${operation.id}-${driveId}`
    const onProgress = (done: number, total: number) => op.bytes(done, total)
    await engine.mergeDown(nodeId, { key, driveId, onto: name, signal: op.signal, onProgress }).catch((error) => {
      throw engineFailure(error, `Could not merge the disks of ${record.name}`)
    })
    return
  }
  const target = stagedDisk(layout, operation, `${nodeId}-${driveId}`)
  await mkdir(dirname(target), { recursive: true, mode: 0o700 })
  await mergeDisks({
    files: [diskPath(layout, disk), ...layerIds.map((id) => layerFile(layout, id))],
    below: belowOf(context, { imageId: record.imageId, backing: onto }),
    backingFile: name,
    virtualSizeBytes: disk.diskBytes,
    target,
    signal: op.signal,
  })
}

/**
 * Takes back what can be: the staged file. What a running guest's disk has taken up stays in it, and its record says so:
 * it holds the same.
 */
export async function takeBackMerge(context: NodesContext, operation: Operation, merge: MergeDown): Promise<void> {
  const { layout, store } = context
  await rm(stagedDisk(layout, operation, `${merge.nodeId}-${merge.driveId}`), { force: true })
  const record = store.data.nodes.find(({ id }) => id === merge.nodeId)
  const disk = record && ownDisk(record, merge.driveId)
  if (!record || !disk || !isSameBacking(disk.backing, merge.from)) return
  const name = await headerNameOf(context, { imageId: record.imageId, backing: merge.onto })
  const header = await readQcow2Header(diskPath(layout, disk))
  if (header.backingFile !== name) return
  await store.change((draft) => applyMerge(draft, merge))
}

/** Within a change of state. */
export function applyMerge(draft: LabState, { nodeId, driveId, onto }: MergeDown): void {
  const record = draft.nodes.find(({ id }) => id === nodeId)
  if (record) standOn(record, driveId, onto)
}

/** After the commit: the merged file has the disk's name. Nothing staged: it has it already, or the guest ran. */
export async function publishMerged(
  { layout, store }: NodesContext,
  operation: Operation,
  { nodeId, driveId }: MergeDown,
): Promise<void> {
  const record = store.data.nodes.find(({ id }) => id === nodeId)
  const disk = record && ownDisk(record, driveId)
  if (!disk) return
  await rename(stagedDisk(layout, operation, `${nodeId}-${driveId}`), diskPath(layout, disk)).catch(absent)
  await fsyncDirectory(layout.overlays)
}

function absent(error: unknown): void {
  if (errnoOf(error) !== 'ENOENT') throw error
}
