import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { LayerId } from '../../domain/ids.js'
import type { Layer } from '../../domain/layer.js'
import { layerFile } from '../../domain/layout.js'
import type { NodesContext } from '../../nodes/context.js'
import { protectFile, type LayerFacts } from '../../storage/layers.js'
import { mergeDisks } from '../../storage/merge-disks.js'
import { errnoOf, fsyncDirectory } from '../../system/durable-file.js'
import { belowOf, chainBroken, headerNameOf } from '../chains.js'
import { stagedDisk } from './snapshot-intent.js'

/**
 * Makes in staging what a layer and the one under it hold, on what that stands on: it reads as the layer does, so that a
 * guest which has the old file open goes on with it. Answers with what its record is to say.
 */
export async function stageRewrite(
  context: NodesContext,
  operation: { id: string },
  { layerId, into }: { layerId: LayerId; into: LayerId },
  signal: AbortSignal,
): Promise<LayerFacts> {
  const { layout } = context
  const lower = layerOf(context, layerId)
  const upper = layerOf(context, into)
  const target = stagedDisk(layout, operation, into)
  await mkdir(dirname(target), { recursive: true, mode: 0o700 })
  await mergeDisks({
    files: [layerFile(layout, into), layerFile(layout, layerId)],
    below: belowOf(context, lower),
    backingFile: await headerNameOf(context, lower),
    virtualSizeBytes: upper.diskBytes,
    target,
    signal,
  })
  return protectFile(target)
}

/** After the commit: it has the layer's name. Nothing staged: it has it already. */
export async function publishRewrite(
  { layout }: NodesContext,
  operation: { id: string },
  into: LayerId,
): Promise<void> {
  await rename(stagedDisk(layout, operation, into), layerFile(layout, into)).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error
  })
  await fsyncDirectory(layout.overlays)
}

export function discardRewrite({ layout }: NodesContext, operation: { id: string }, into: LayerId): Promise<void> {
  return rm(stagedDisk(layout, operation, into), { force: true })
}

function layerOf(context: NodesContext, id: LayerId): Layer {
  const layer = context.store.data.layers.find((one) => one.id === id)
  if (!layer) throw chainBroken(`The layer ${id} has no record.`)
  return layer
}
