import { isSandlabError, SandlabError } from '../domain/error.js'
import type { ImageId, LayerId } from '../domain/ids.js'
import { chainOf, type Backing, type Layer } from '../domain/layer.js'
import { layerFile } from '../domain/layout.js'
import { imageOf, type NodesContext } from '../nodes/context.js'
import { filesBelow } from '../storage/chain-files.js'
import { headerFault, isSameTime } from '../storage/overlay-faults.js'
import { writeLayerSidecar } from '../storage/layers.js'
import { backingNameOf, usedBytes } from '../storage/overlays.js'
import { readQcow2Header } from '../system/qcow2.js'
import { errnoOf } from '../system/durable-file.js'
import { lstat } from 'node:fs/promises'

/** Something that stands on a chain: a disk of a node, or a layer. */
export interface Standing {
  imageId: ImageId
  backing: Backing
}

/** Absolute paths of all that it stands on, nearest first. Throws `chain_broken`. */
export function belowOf(context: NodesContext, { imageId, backing }: Standing): string[] {
  const chain = chainOf(context.store.data.layers, backing)
  if (chain.missing !== null) throw chainBroken(`The layer ${chain.missing} has no record.`)
  const image = imageOf(context, imageId)
  if (chain.base && !image) throw chainBroken(`The base image ${imageId} is gone.`)
  return filesBelow(context.layout, chain, image ?? { file: '' })
}

/** How a header over this must name it; null: nothing. */
export function headerNameOf(context: NodesContext, { imageId, backing }: Standing): Promise<string | null> {
  const { layers } = context.store.data
  return backingNameOf(context.layout, imageOf(context, imageId), chainOf(layers, backing))
}

/** The layers themselves and everything under them must be what their records say. Throws `chain_broken`. */
export async function requireWholeChain(context: NodesContext, from: Standing): Promise<void> {
  const paths = belowOf(context, from)
  const chain = chainOf(context.store.data.layers, from.backing)
  for (const layer of chain.layers) await requireLayer(context, layer)
  const base = chain.base ? paths.at(-1) : undefined
  const image = imageOf(context, from.imageId)
  if (base === undefined || !image) return
  const found = await lstat(base).catch(absent)
  if (found?.isFile() === true && found.size === image.fingerprint.sizeBytes) return
  throw chainBroken(`The base image ${image.file} ${found ? 'has changed' : 'is missing'}.`)
}

async function requireLayer(context: NodesContext, layer: Layer): Promise<void> {
  const path = layerFile(context.layout, layer.id)
  const found = await lstat(path).catch(absent)
  if (!found?.isFile()) throw chainBroken(`The layer ${layer.file} is missing.`)
  if (found.size !== layer.sizeBytes || !isSameTime(found.mtimeMs, layer.mtimeMs)) {
    throw chainBroken(`The layer ${layer.file} has changed since it was frozen.`)
  }
  const expected = await headerNameOf(context, layer)
  const fault = await readQcow2Header(path).then(
    (header) => headerFault(header, layer, expected),
    (error: unknown) => {
      if (isSandlabError(error, 'image_refused')) return 'has a header that is damaged'
      throw error
    },
  )
  if (fault !== undefined) throw chainBroken(`The layer ${layer.file} ${fault}.`)
}

export function chainBroken(what: string): SandlabError {
  return new SandlabError('chain_broken', what, {
    hint: 'Nothing was changed. `sandlabx storage verify` says what is missing and how it can be repaired.',
  })
}

/** Writes the records beside these layers again, with the snapshots that keep each now; those that are gone are left out. */
export async function writeLayerRecords(context: NodesContext, ids: readonly LayerId[]): Promise<void> {
  const { layers, snapshots, nodes } = context.store.data
  for (const layer of layers.filter(({ id }) => ids.includes(id))) {
    const keeping = snapshots.filter(({ disks }) => disks.some(({ layerId }) => layerId === layer.id))
    const nodeName = nodes.find(({ id }) => id === layer.nodeId)?.name ?? ''
    await writeLayerSidecar(context.layout, layer, { nodeName, snapshots: keeping })
  }
}

export async function layerBytes(context: NodesContext, id: LayerId): Promise<number> {
  return (await usedBytes(layerFile(context.layout, id))) ?? 0
}

function absent(error: unknown): undefined {
  if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
  throw error
}
