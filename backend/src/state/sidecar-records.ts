import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { imageSchema, type Image } from '../domain/image.js'
import { layerSchema, type Layer } from '../domain/layer.js'
import type { Layout } from '../domain/layout.js'
import { nodeRecordSchema } from '../domain/node.js'
import { snapshotSchema, type Snapshot } from '../domain/snapshot.js'
import { errnoOf } from '../system/durable-file.js'
import { firstIssue } from './envelope.js'

/** `overlays/node_<uuid>.json`. `detached`: the node was deleted and its storage kept, to be attached again. */
export const nodeSidecarSchema = z.object({
  kind: z.literal('sandlabx-node'),
  schema: z.literal(1),
  status: z.enum(['attached', 'detached']),
  record: nodeRecordSchema,
})
export type NodeSidecar = z.infer<typeof nodeSidecarSchema>

/** `images/<id>.image.json` */
export const imageSidecarSchema = z.object({
  kind: z.literal('sandlabx-image'),
  schema: z.literal(1),
  record: imageSchema,
})

/** `overlays/layer_<uuid>.json` */
export const layerSidecarSchema = z.object({
  kind: z.literal('sandlabx-layer'),
  schema: z.literal(1),
  record: layerSchema,
  /** Those that keep it, so that they are found again without a state file, and that an orphan can tell what it was. */
  snapshots: z.array(snapshotSchema).default([]),
  nodeName: z.string().default(''),
})
export type LayerSidecar = z.infer<typeof layerSidecarSchema>

export interface UnreadableSidecar {
  file: string
  reason: string
}

export interface SidecarsFound<T> {
  found: T[]
  unreadable: UnreadableSidecar[]
}

const NODE_SIDECAR = /^node_([0-9a-f-]{36})\.json$/
const LAYER_SIDECAR = /^layer_([0-9a-f-]{36})\.json$/
const NODE_OVERLAY = /^node_.*\.qcow2$/
const IMAGE_SIDECAR = /^(.+)\.image\.json$/

/** Every node's record in `overlays/`, by file name; a broken one is listed and stops no other. */
export async function readNodeSidecars(layout: Layout): Promise<SidecarsFound<NodeSidecar>> {
  return readSidecars(layout.overlays, NODE_SIDECAR, nodeSidecarSchema)
}

/** Every layer's record in `overlays/`, and the snapshots whose layers are all there. */
export async function readLayerSidecars(layout: Layout): Promise<SidecarsFound<Layer> & { snapshots: Snapshot[] }> {
  const { found, unreadable } = await readSidecars(layout.overlays, LAYER_SIDECAR, layerSidecarSchema)
  const layers = found.map((sidecar) => sidecar.record)
  const known = new Map(found.flatMap(({ snapshots }) => snapshots.map((snapshot) => [snapshot.id, snapshot])))
  const isWhole = ({ disks }: Snapshot) => disks.every(({ layerId }) => layers.some(({ id }) => id === layerId))
  return { found: layers, unreadable, snapshots: [...known.values()].filter(isWhole) }
}

/** Every base image's record in `images/`. */
export async function readImageSidecars(layout: Layout): Promise<SidecarsFound<Image>> {
  const { found, unreadable } = await readSidecars(layout.images, IMAGE_SIDECAR, imageSidecarSchema)
  return { found: found.map((sidecar) => sidecar.record), unreadable }
}

/** What says that there were nodes, whatever the state file says. Names only: nothing is opened. */
export async function listStorage(layout: Layout): Promise<{ overlays: string[]; sidecars: string[] }> {
  const names = await namesIn(layout.overlays)
  return {
    overlays: names.filter((name) => NODE_OVERLAY.test(name)),
    sidecars: names.filter((name) => NODE_SIDECAR.test(name)),
  }
}

async function readSidecars<S extends z.ZodType<{ record: { id: string } }>>(
  folder: string,
  pattern: RegExp,
  schema: S,
): Promise<SidecarsFound<z.infer<S>>> {
  const result: SidecarsFound<z.infer<S>> = { found: [], unreadable: [] }
  for (const name of (await namesIn(folder)).toSorted()) {
    const id = pattern.exec(name)?.[1]
    if (id === undefined) continue
    try {
      const read = schema.safeParse(JSON.parse(await readFile(join(folder, name), 'utf8')))
      if (!read.success) throw new Error(firstIssue(read.error))
      if (read.data.record.id !== id) throw new Error(`it is the record of ${read.data.record.id}`)
      result.found.push(read.data)
    } catch (error) {
      result.unreadable.push({
        file: join(folder, name),
        reason: error instanceof Error ? error.message : String(error),
      })
    }
  }
  return result
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}
