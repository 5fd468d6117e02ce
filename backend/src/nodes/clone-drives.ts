import { chown, link, rm } from 'node:fs/promises'
import type { DriveRecord } from '../domain/drive.js'
import { isSandlabError, SandlabError } from '../domain/error.js'
import type { OperationId } from '../domain/ids.js'
import { chainOf, type Layer } from '../domain/layer.js'
import { layerFileName } from '../domain/layout.js'
import type { NodeRecord } from '../domain/node.js'
import type { LabState } from '../domain/state.js'
import { createDriveFile, discardDriveFile, diskOwner } from '../storage/drive-files.js'
import { readerOf } from '../storage/layer-copies.js'
import { isUntouched, layerProgress, turnBack, turnIntoLayer, writeLayerSidecar } from '../storage/layers.js'
import { copyStandalone } from '../storage/standalone-copy.js'
import { fsyncDirectory } from '../system/durable-file.js'
import type { BulkHandle } from '../transactions/operations.js'
import type { ClonedDrive } from './clone-drive-plan.js'
import { cloneStaging, type CloneIntent } from './clone-intent.js'
import { snapshotsBefore } from './clone-snapshot.js'
import { recordOf, type NodesContext } from './context.js'
import { existsForSure } from '../system/exists.js'

/**
 * Finds out what the drives of linked clones stand on, and turns those of the source that hold something into layers, as
 * its root disk; the source does not run. May be called again after a kill.
 */
export async function layTheDrives(context: NodesContext, intent: CloneIntent, op: BulkHandle): Promise<void> {
  for (const cloned of intent.drives) {
    if (await needsLayer(context, intent, cloned)) {
      cloned.layer = await makeLayer(context, intent, cloned, op.id)
      cloned.from = { kind: 'layer', layerId: cloned.layerId }
    }
    if (intent.full) continue
    for (const { drives } of intent.records) {
      const own = drives.find(({ id }) => id === cloned.driveId)
      if (own) own.backing = cloned.from.kind === 'layer' ? cloned.from : { kind: 'none' }
    }
  }
}

/** The source has its drives again as they were; also when only a part was done. */
export async function takeBackDrives({ layout }: NodesContext, { drives }: CloneIntent): Promise<void> {
  for (const { file, layerId } of drives) if (file !== null) await turnBack(layout, file, layerId)
}

async function needsLayer({ layout }: NodesContext, intent: CloneIntent, cloned: ClonedDrive): Promise<boolean> {
  const { file, layerId } = cloned
  if (file === null || (intent.full && intent.layerName === null)) return false
  if ((await layerProgress(layout, file, layerId)) !== 'absent') return true
  if (!(await existsForSure(`${layout.overlays}/${file}`))) return false // made again at the source's next start
  return intent.layerName !== null || !(await isUntouched(`${layout.overlays}/${file}`))
}

async function makeLayer(
  context: NodesContext,
  intent: CloneIntent,
  { driveId, file, layerId, sizeBytes }: ClonedDrive,
  operationId: OperationId,
): Promise<Layer> {
  const { layout } = context
  const source = recordOf(context, intent.source.id)
  const drive = source.drives.find(({ id }) => id === driveId)
  if (file === null || drive?.file !== file)
    throw new SandlabError('busy', `The drive ${driveId} has changed. Try again.`)
  const staging = `${cloneStaging(layout, intent)}/drive-${driveId}.qcow2`
  const facts = await turnIntoLayer({ layout, file, layerId, staging, virtualSizeBytes: sizeBytes })
  return {
    id: layerId,
    file: layerFileName(layerId),
    nodeId: source.id,
    driveId,
    imageId: source.imageId,
    base: source.base,
    backing: drive.backing,
    diskBytes: sizeBytes,
    ...facts,
    createdAt: intent.at,
    operationId,
  }
}

/** The records of the drives' layers, beside their files. */
export async function writeDriveLayers({ layout, store }: NodesContext, intent: CloneIntent): Promise<void> {
  const snapshots = intent.layer ? snapshotsBefore(store.data, intent, intent.layer) : []
  for (const { layer } of intent.drives) {
    if (layer) await writeLayerSidecar(layout, layer, { nodeName: intent.source.name, snapshots })
  }
}

/** Makes a clone's drives: empty over their layers, or copies that need no other file. Those that are there are whole. */
export async function makeCloneDrives(
  context: NodesContext,
  intent: CloneIntent,
  record: NodeRecord,
  op: BulkHandle,
): Promise<void> {
  for (const drive of record.drives) {
    const cloned = intent.drives.find(({ driveId }) => driveId === drive.id)
    if (!cloned || (await existsForSure(`${context.layout.overlays}/${drive.file}`))) continue
    op.signal.throwIfAborted()
    const files = intent.full ? await filesToCopy(context, intent, cloned) : []
    if (files.length > 0) await copyDrive(context, intent, record, drive, files, op)
    else await makeEmpty(context, intent, record, drive)
  }
}

async function makeEmpty(
  { layout, store }: NodesContext,
  intent: CloneIntent,
  record: NodeRecord,
  { file, sizeBytes, backing }: DriveRecord,
): Promise<void> {
  const layers = [...store.data.layers, ...intent.drives.flatMap(({ layer }) => layer ?? [])]
  const below = backing.kind === 'layer' ? chainOf(layers, backing).layers[0] : undefined
  if (backing.kind === 'layer' && !below) throw new SandlabError('not_found', 'The snapshot was deleted meanwhile.')
  const owner = await diskOwner(layout, record.id)
  const made = createDriveFile({ layout, file, virtualSizeBytes: sizeBytes, backingFile: below?.file ?? null, owner })
  await made.catch((error: unknown) => {
    if (!isSandlabError(error, 'busy')) throw error
  })
}

/** What a full copy is read from, nearest first; nothing: there is nothing on it. */
async function filesToCopy(
  { layout, store }: NodesContext,
  intent: CloneIntent,
  { file, from, layer }: ClonedDrive,
): Promise<string[]> {
  const layers = [...store.data.layers, ...intent.drives.flatMap((one) => one.layer ?? [])]
  const below = from.kind === 'layer' ? chainOf(layers, from).layers.map((one) => `${layout.overlays}/${one.file}`) : []
  const path = `${layout.overlays}/${file}`
  if (file === null || layer || !(await existsForSure(path))) return below
  return below.length === 0 && (await isUntouched(path)) ? [] : [path, ...below]
}

async function copyDrive(
  { layout }: NodesContext,
  intent: CloneIntent,
  record: NodeRecord,
  drive: DriveRecord,
  files: readonly string[],
  op: BulkHandle,
): Promise<void> {
  const target = `${cloneStaging(layout, intent)}/${drive.file}`
  const identity = await readerOf(files[0] ?? '')
  const { sha256 } = await copyStandalone({
    files,
    identity,
    virtualSizeBytes: drive.sizeBytes,
    target,
    signal: op.signal,
    onBytes: (done, total) => op.bytes(done, total),
  })
  op.log(`${record.name}: the drive ${drive.id} was read and written with the same sha256 (${sha256}).`)
  const owner = await diskOwner(layout, record.id)
  if (owner) await chown(target, owner.uid, owner.gid)
  await link(target, `${layout.overlays}/${drive.file}`)
  await rm(target)
  await fsyncDirectory(layout.overlays)
}

export async function discardCloneDrives({ layout }: NodesContext, { records }: CloneIntent): Promise<void> {
  for (const { drives } of records) for (const { file } of drives) await discardDriveFile(layout, file)
}

/** Within the commit: the source's drives stand on what they were turned into. */
export function commitDrives(draft: LabState, { drives, source }: CloneIntent): void {
  const node = draft.nodes.find(({ id }) => id === source.id)
  for (const { driveId, layer, from } of drives) {
    const own = node?.drives.find(({ id }) => id === driveId)
    if (layer && own) own.backing = { kind: 'layer', layerId: layer.id }
    if (layer) draft.layers.push(layer)
    if (from.kind === 'layer' && !draft.layers.some(({ id }) => id === from.layerId)) {
      throw new SandlabError('not_found', 'The snapshot was deleted meanwhile.')
    }
  }
}
