import type { DriveRecord } from '../domain/drive.js'
import type { Layer } from '../domain/layer.js'
import type { Layout } from '../domain/layout.js'
import type { NodeRecord } from '../domain/node.js'
import { chainOf } from '../domain/layer.js'
import { formatBytes } from '../domain/units.js'
import { recordedDriveFault } from '../storage/drive-faults.js'
import { createDriveFile, diskOwner, driveApiPath } from '../storage/drive-files.js'
import { unchangedFault } from '../storage/overlay-faults.js'
import { saveRecord, type NodesContext } from './context.js'

/** Why a node can't be started with its drives; undefined when it can. One that is made again when missing is no reason. */
export async function drivesFault(
  layout: Layout,
  record: NodeRecord,
  layers: readonly Layer[],
): Promise<string | undefined> {
  for (const drive of record.drives) {
    const fault = await recordedDriveFault(layout, record.id, drive, layers)
    if (fault && !(fault.missing && drive.source === 'automatic')) return fault.reason
  }
  return undefined
}

/**
 * Makes automatic drives whose files are missing again, with their recorded sizes: over its layer where it stands on one
 * that is there, else empty. The node's history says so before the file is made: a loss is never silent.
 */
export async function remakeMissingDrives(context: NodesContext, record: NodeRecord): Promise<void> {
  const { layout, store, log } = context
  for (const drive of record.drives) {
    if (drive.source !== 'automatic') continue
    const fault = await recordedDriveFault(layout, record.id, drive, store.data.layers)
    if (!fault?.missing) continue
    const layer = await usableLayer(context, drive)
    const text = remadeText(context, drive, layer)
    log.warn({ nodeId: record.id, driveId: drive.id, file: drive.file, layer: layer?.id ?? null }, text)
    await saveRecord(context, record.id, (draft) => standOn(draft, drive.id, layer), {
      kind: 'warning',
      text,
      actorLogin: null,
    })
    await createDriveFile({
      layout,
      file: drive.file,
      virtualSizeBytes: drive.sizeBytes,
      backingFile: layer?.file ?? null,
      owner: await diskOwner(layout, record.id),
    })
  }
}

function standOn(record: NodeRecord, driveId: string, layer: Layer | undefined): void {
  const drive = record.drives.find(({ id }) => id === driveId)
  if (drive) drive.backing = layer ? { kind: 'layer', layerId: layer.id } : { kind: 'none' }
}

/** The layer that the drive stands on, when it and all below it are as they were. */
async function usableLayer({ layout, store }: NodesContext, { backing }: DriveRecord): Promise<Layer | undefined> {
  if (backing.kind !== 'layer') return undefined
  const { layers, missing } = chainOf(store.data.layers, backing)
  if (missing !== null) return undefined
  for (const layer of layers) {
    if ((await unchangedFault(`${layout.overlays}/${layer.file}`, layer, undefined)) !== undefined) return undefined
  }
  return layers[0]
}

function remadeText({ layout, store }: NodesContext, drive: DriveRecord, layer: Layer | undefined): string {
  const missing = `The file of its drive ${drive.id} (${driveApiPath(layout, drive)}) was missing.`
  const size = formatBytes(drive.sizeBytes)
  const look = 'The old one may be in the trash or among the orphans.'
  if (!layer) {
    const snapshots = drive.backing.kind === 'layer' ? ' The layer that it stood on is gone, too.' : ''
    return `${missing}${snapshots} It was made again, empty, with ${size}. ${look}`
  }
  const snapshot = store.data.snapshots.find(({ disks }) => disks.some(({ layerId }) => layerId === layer.id))
  const moment = snapshot ? `the snapshot ${snapshot.name}` : `the layer of ${layer.createdAt}`
  return `${missing} It was made again, with ${size}, as it was in ${moment}; what was written later is not on it. ${look}`
}
