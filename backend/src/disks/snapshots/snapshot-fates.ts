import { z } from 'zod'
import { layerIdSchema, type LayerId } from '../../domain/ids.js'
import { type Backing } from '../../domain/layer.js'
import { keptBySnapshots, type Snapshot } from '../../domain/snapshot.js'
import type { LabState } from '../../domain/state.js'
import { childrenOf } from './layer-children.js'
import { mergeDownSchema } from './merge-down.js'

/**
 * What becomes of a layer whose snapshot is deleted. `free`: nothing stands on it. `stays`: several disks share it, or
 * another snapshot has it. `disk`, `layer`: the one that stands on it takes it up.
 */
export const fateSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('free'), layerId: layerIdSchema }),
  z.object({ kind: z.literal('stays'), layerId: layerIdSchema, why: z.string() }),
  z.object({ kind: z.literal('disk'), layerId: layerIdSchema, merge: mergeDownSchema }),
  z.object({ kind: z.literal('layer'), layerId: layerIdSchema, into: layerIdSchema }),
])
export type Fate = z.infer<typeof fateSchema>

type Looked = Pick<Readonly<LabState>, 'nodes' | 'layers' | 'snapshots'>

/** `kept`: what disks stand on that were kept when their nodes were deleted. Pure. */
export function fatesOf(state: Looked, kept: readonly Backing[], snapshot: Snapshot): Fate[] {
  const others = keptBySnapshots(state.snapshots.filter(({ id }) => id !== snapshot.id))
  return snapshot.disks.map(({ layerId }) => fateOf(state, kept, layerId, others))
}

function fateOf(state: Looked, kept: readonly Backing[], layerId: LayerId, others: readonly LayerId[]): Fate {
  if (others.includes(layerId)) return { kind: 'stays', layerId, why: 'another snapshot has it, too' }
  const layer = state.layers.find(({ id }) => id === layerId)
  const children = childrenOf(state, kept, layerId)
  const [child] = children
  if (!layer || !child) return { kind: 'free', layerId }
  if (children.length > 1) return { kind: 'stays', layerId, why: `${children.length} disks stand on it` }
  if (child.kind === 'kept') return { kind: 'stays', layerId, why: 'a disk that was kept stands on it' }
  if (child.kind === 'layer') return { kind: 'layer', layerId, into: child.layer.id }
  const { node, disk } = child
  const merge = { nodeId: node.id, driveId: disk.driveId, layerIds: [layerId], from: disk.backing, onto: layer.backing }
  return { kind: 'disk', layerId, merge }
}

/** Nodes that must stand still, or be asked, for these. Pure. */
export function nodesOf(state: Looked, fates: readonly Fate[]): string[] {
  const owner = (id: LayerId) => state.layers.find((layer) => layer.id === id)?.nodeId
  return fates.flatMap((fate) => {
    if (fate.kind === 'disk') return [fate.merge.nodeId]
    return fate.kind === 'layer' ? (owner(fate.into) ?? []) : []
  })
}
