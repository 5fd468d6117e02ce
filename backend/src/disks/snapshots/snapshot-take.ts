import { mkdir, rename, rm, stat } from 'node:fs/promises'
import { layerFile, layerFileName, memoryFile, memoryFileName } from '../../domain/layout.js'
import type { Layer } from '../../domain/layer.js'
import type { NodeRecord } from '../../domain/node.js'
import type { Snapshot } from '../../domain/snapshot.js'
import type { SnapshotResult } from '../../hosts/engine-disks.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { recordOf, type NodesContext } from '../../nodes/context.js'
import { engineFailure } from '../../nodes/engine-failure.js'
import { discardLayer, layerProgress, protectLayer, turnBack, turnIntoLayer } from '../../storage/layers.js'
import { isUntouched } from '../../storage/layers.js'
import { mergeDisks } from '../../storage/merge-disks.js'
import { fsyncDirectory } from '../../system/durable-file.js'
import type { BulkHandle } from '../../transactions/operations.js'
import { belowOf, headerNameOf } from '../chains.js'
import { diskPath } from '../own-disks.js'
import { liveRequest, stagedDisk, stagingOf, type CreateIntent, type TakenDisk } from './snapshot-intent.js'

/**
 * Gives each disk's file the name of its layer, and the disk's name to an empty one over it; notes in the intent what
 * was made. May be called again after a kill, also when the guest that ran has ended.
 */
export async function takeDisks(context: NodesContext, intent: CreateIntent, op: BulkHandle): Promise<void> {
  const { layout } = context
  const record = recordOf(context, intent.nodeId)
  const live = intent.live ? await takeLive(context, intent, op) : null
  if (!intent.live) for (const disk of intent.disks) await takeStill(context, intent, disk)
  const layers: Layer[] = []
  for (const disk of intent.disks) {
    const facts = await protectLayer(layout, disk.layerId)
    layers.push({
      id: disk.layerId,
      file: layerFileName(disk.layerId),
      nodeId: record.id,
      driveId: disk.driveId,
      imageId: record.imageId,
      base: record.base,
      backing: disk.backing,
      diskBytes: disk.diskBytes,
      ...facts,
      createdAt: intent.at,
      operationId: op.id,
    })
  }
  const memory = live && (await memoryOf(context, intent, live))
  if (intent.memory && memory === null) op.log("The guest's memory was not kept: SandLabX ended in the middle of it.")
  intent.taken = { layers, memory, consistency: consistencyOf(record, intent, live), operationId: op.id }
}

function takeStill(context: NodesContext, intent: CreateIntent, { file, layerId, driveId, diskBytes }: TakenDisk) {
  const { layout } = context
  const staging = stagedDisk(layout, intent, driveId)
  return turnIntoLayer({ layout, file, layerId, staging, virtualSizeBytes: diskBytes })
}

/** What an earlier process had finished is what this one would do. */
async function takeLive(
  context: NodesContext,
  intent: CreateIntent,
  op: BulkHandle,
): Promise<Pick<SnapshotResult, 'qemuVersion' | 'machine' | 'frozen'>> {
  const { engine } = context
  const request = liveRequest(intent)
  try {
    if ((await engine.snapshotState(intent.nodeId, request)) === 'done') {
      op.log('The disks had been frozen before SandLabX ended.')
      const { version } = await engine.probe()
      return { qemuVersion: version, machine: '', frozen: intent.freeze }
    }
    const result = await engine.snapshotDisks(intent.nodeId, request)
    op.log(`The guest stood still for at most ${Math.ceil(result.pauseMs)} ms.`)
    if (result.frozenMs !== null) op.log(`Its writes were held by its agent for ${Math.ceil(result.frozenMs)} ms.`)
    return result
  } catch (error) {
    throw engineFailure(error, `Could not freeze the disks of ${intent.nodeName}`)
  }
}

async function memoryOf(
  { layout }: NodesContext,
  intent: CreateIntent,
  { qemuVersion, machine }: Pick<SnapshotResult, 'qemuVersion' | 'machine'>,
): Promise<Snapshot['memory']> {
  if (!intent.memory) return null
  // Its length, by which a verification tells whether it is whole.
  const found = await stat(memoryFile(layout, intent.snapshotId)).catch(() => null)
  return found && { file: memoryFileName(intent.snapshotId), sizeBytes: found.size, qemuVersion, machine }
}

/** A guest that was ended without being asked has left its disks as a power cut does. */
function consistencyOf(
  record: NodeRecord,
  { live }: CreateIntent,
  result: { frozen: boolean } | null,
): Snapshot['consistency'] {
  if (live) return result?.frozen === true ? 'frozen' : 'live'
  return record.lastExit?.how === 'crashed' || record.lastExit?.how === 'forced' ? 'live' : 'stopped'
}

/**
 * The disks are again what they were, with all that a guest has written since; also when only a part was done. What the
 * guest wrote meanwhile and the layer go into one file.
 */
export async function takeBackDisks(context: NodesContext, intent: CreateIntent): Promise<void> {
  const { layout, engine } = context
  const record = context.store.data.nodes.find(({ id }) => id === intent.nodeId)
  if (record) context.observations.setEngine(await engine.inspect(record.id))
  if (intent.live) await engine.snapshotState(intent.nodeId, liveRequest(intent)) // what was half done is ended by this
  for (const disk of intent.disks) {
    if (!record || !(await isSwitched(context, disk))) await turnBack(layout, disk.file, disk.layerId)
    else if (isAlive(context, record)) await mergeBackLive(context, intent, record, disk)
    else if (await isUntouched(diskPath(layout, disk))) await turnBack(layout, disk.file, disk.layerId)
    else await mergeBack(context, intent, record, disk)
  }
  await rm(memoryFile(layout, intent.snapshotId), { force: true })
  await rm(stagingOf(layout, intent), { recursive: true, force: true })
}

async function isSwitched({ layout }: NodesContext, { file, layerId }: TakenDisk): Promise<boolean> {
  return (await layerProgress(layout, file, layerId)) === 'switched'
}

async function mergeBackLive(
  context: NodesContext,
  intent: CreateIntent,
  { id, imageId }: NodeRecord,
  { driveId, backing, layerId }: TakenDisk,
): Promise<void> {
  const onto = await headerNameOf(context, { imageId, backing })
  const { signal } = new AbortController()
  await context.engine.mergeDown(id, { key: `${intent.id}-back`, driveId, onto, signal, onProgress: () => undefined })
  await discardLayer(context.layout, layerId)
}

async function mergeBack(
  context: NodesContext,
  intent: CreateIntent,
  { imageId }: NodeRecord,
  disk: TakenDisk,
): Promise<void> {
  const { layout } = context
  const { driveId, backing, layerId, diskBytes } = disk
  const target = stagedDisk(layout, intent, driveId)
  await mkdir(stagingOf(layout, intent), { recursive: true, mode: 0o700 })
  await mergeDisks({
    files: [diskPath(layout, disk), layerFile(layout, layerId)],
    below: belowOf(context, { imageId, backing }),
    backingFile: await headerNameOf(context, { imageId, backing }),
    virtualSizeBytes: diskBytes,
    target,
    signal: new AbortController().signal,
  })
  await rename(target, diskPath(layout, disk))
  await fsyncDirectory(layout.overlays)
  await discardLayer(layout, layerId)
}
