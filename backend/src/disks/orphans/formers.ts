import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { z } from 'zod'
import { driveSidecarSchema, type DriveSidecar } from '../../domain/drive.js'
import type { UserId } from '../../domain/ids.js'
import type { Layout } from '../../domain/layout.js'
import type { NodeRecord } from '../../domain/node.js'
import { rootLayerOf } from '../../domain/snapshot.js'
import type { LabState } from '../../domain/state.js'
import type { Orphan } from '../../domain/storage.js'
import { layerSidecarSchema, nodeSidecarSchema, type LayerSidecar } from '../../state/sidecar-records.js'
import { readSidecars } from '../../storage/sidecars.js'
import { listTrash } from '../../storage/trash-store.js'

/** What the records beside a disk tell about it. */
export interface Former {
  kind: Orphan['kind']
  nodeName: string | null
  nodeId: NodeRecord['id'] | null
  ownerId: UserId | null
  snapshotName: string | null
  /** Of a node's own disk: the whole of it. Of its layers and drives: as it was last, where that is known. */
  record: NodeRecord | null
  layer: LayerSidecar | null
  drive: DriveSidecar | null
}

/** Former nodes by id, and by the drives that they had. */
export interface FormerNodes {
  byId: ReadonlyMap<string, NodeRecord>
  byDrive: ReadonlyMap<string, NodeRecord>
}

const NAME = /^(node|layer|drive)_([0-9a-f-]{36})\.qcow2$/
/** A record has some KiB; whatever is larger is none of ours. */
const MAX_SIDECAR_BYTES = 4 * 1024 * 1024
export const NOTHING: Former = {
  kind: 'other',
  nodeName: null,
  nodeId: null,
  ownerId: null,
  snapshotName: null,
  record: null,
  layer: null,
  drive: null,
}

/** Nodes that are gone, from the records beside kept disks and in the trash; a living one is taken from the state. */
export async function formerNodes(layout: Layout, state: Readonly<LabState>): Promise<FormerNodes> {
  const [{ found }, trash] = await Promise.all([readSidecars(layout), listTrash(layout)])
  const records = [
    ...trash.flatMap(({ node }) => (node ? [node] : [])).toReversed(), // the newest is the last, and counts
    ...found.filter(({ status }) => status === 'detached').map(({ record }) => record),
    ...state.nodes,
  ]
  const kept = found.flatMap(({ status, record }) => (status === 'detached' ? [record] : []))
  return {
    byId: new Map(records.map((record) => [record.id, record])),
    byDrive: new Map(kept.flatMap((record) => record.drives.map(({ file }) => [file, record] as const))),
  }
}

/** What a file in `overlays/` was, by its name and the record beside it. A record that can't be read tells nothing. */
export async function formerOf(layout: Layout, name: string, nodes: FormerNodes): Promise<Former> {
  const [, kind, id = ''] = NAME.exec(name) ?? []
  if (kind === 'node') {
    const sidecar = await readRecord(`${layout.overlays}/node_${id}.json`, nodeSidecarSchema)
    const record = sidecar?.record.id === id ? sidecar.record : null
    return { ...NOTHING, ...aboutNode(record), kind: 'disk', record }
  }
  if (kind === 'layer') {
    const layer = await readRecord(`${layout.overlays}/layer_${id}.json`, layerSidecarSchema)
    if (layer?.record.id !== id) return { ...NOTHING, kind: 'snapshot' }
    const record = nodes.byId.get(layer.record.nodeId) ?? null
    const snapshot = layer.snapshots.find((one) => one.disks.some(({ layerId }) => layerId === id))
    const named = { snapshotName: snapshot?.name ?? null, nodeName: record?.name ?? (layer.nodeName || null) }
    const isRoot = layer.record.driveId === 'root' || (snapshot && rootLayerOf(snapshot) === id)
    return {
      ...NOTHING,
      ...aboutNode(record),
      ...named,
      nodeId: layer.record.nodeId,
      kind: 'snapshot',
      record: isRoot ? record : null,
      layer,
    }
  }
  if (kind === 'drive') {
    const drive = await readRecord(`${layout.overlays}/drive_${id}.json`, driveSidecarSchema)
    const record = nodes.byDrive.get(name) ?? null
    if (!drive) return { ...NOTHING, ...aboutNode(record), kind: 'drive' }
    const { id: nodeId, name: nodeName, ownerId } = drive.node
    return { ...NOTHING, kind: 'drive', nodeName, nodeId: nodeId as NodeRecord['id'], ownerId, drive } // ours wrote it
  }
  return NOTHING
}

function aboutNode(record: NodeRecord | null): Pick<Former, 'nodeName' | 'nodeId' | 'ownerId'> {
  return { nodeName: record?.name ?? null, nodeId: record?.id ?? null, ownerId: record?.ownerId ?? null }
}

/** Null for what is not there, is no plain file, is too large, or is not such a record. */
async function readRecord<S extends z.ZodType>(path: string, schema: S): Promise<z.infer<S> | null> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      const stats = await file.stat()
      if (!stats.isFile() || stats.size > MAX_SIDECAR_BYTES) return null
      const parsed = schema.safeParse(JSON.parse(await file.readFile('utf8')))
      return parsed.success ? parsed.data : null
    } finally {
      await file.close()
    }
  } catch {
    return null // it tells nothing; the disk itself is listed all the same
  }
}
