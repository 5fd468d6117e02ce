import type { LayerId, NodeId } from '../domain/ids.js'
import { chainOf, type Backing, type Layer } from '../domain/layer.js'
import type { NodeRecord } from '../domain/node.js'
import type { LabState } from '../domain/state.js'
import { readSidecars } from '../storage/sidecars.js'
import { recordOf, type NodesContext } from './context.js'

/** The layers under nodes that are about to go: those that may be of no use afterwards. */
export function layersUnder(state: Pick<Readonly<LabState>, 'layers'>, records: readonly NodeRecord[]): LayerId[] {
  return [...new Set(records.flatMap(({ backing }) => chainOf(state.layers, backing).layers.map(({ id }) => id)))]
}

/** Layers that disks stand on whose nodes were deleted and their storage kept; no record of the state names them. */
export async function layersOfKeptDisks(context: NodesContext, leaving: readonly NodeId[]): Promise<LayerId[]> {
  const { found } = await readSidecars(context.layout)
  // Attached ones, too: a node that is deleted at the same time is kept or in the trash only after its own commit.
  const staying = found.flatMap(({ record }) => (leaving.includes(record.id) ? [] : [record]))
  return layersUnder(context.store.data, staying)
}

/**
 * Takes from the state those of `candidates` that nothing stands on any more: no node, no other layer, no kept disk; a
 * named one stays until a person deletes it. Answers with them. For use within the change of state that removes nodes.
 */
export function dropUnusedLayers(
  draft: Pick<LabState, 'nodes' | 'layers'>,
  candidates: readonly LayerId[],
  kept: readonly LayerId[],
): void {
  const isLayer = (backing: Backing) => (backing.kind === 'layer' ? [backing.layerId] : [])
  for (let dropped = true; dropped;) {
    const used = new Set([...kept, ...[...draft.nodes, ...draft.layers].flatMap(({ backing }) => isLayer(backing))])
    const unused = draft.layers.find(({ id, name }) => candidates.includes(id) && name === null && !used.has(id))
    dropped = unused !== undefined
    if (unused) draft.layers = draft.layers.filter((layer) => layer !== unused)
  }
}

/** Those of `candidates` that the state no longer has. */
export function goneFrom(state: Pick<Readonly<LabState>, 'layers'>, candidates: readonly LayerId[]): LayerId[] {
  return candidates.filter((id) => !state.layers.some((layer) => layer.id === id))
}

/** Snapshots of a node that a person can name, and what its disk stands on; newest first. Throws `not_found`. */
export function layersOf(context: NodesContext, id: string): Layer[] {
  const record = recordOf(context, id)
  const under = layersUnder(context.store.data, [record])
  return context.store.data.layers
    .filter((layer) => under.includes(layer.id) || (layer.nodeId === record.id && layer.name !== null))
    .toSorted((one, other) => other.createdAt.localeCompare(one.createdAt))
}
