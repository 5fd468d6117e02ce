import { readdir } from 'node:fs/promises'
import type { LayerId } from '../../domain/ids.js'
import { chainOf, type Backing, type Layer } from '../../domain/layer.js'
import type { NodeRecord } from '../../domain/node.js'
import type { LabState } from '../../domain/state.js'
import type { NodesContext } from '../../nodes/context.js'
import { readLayerSidecars } from '../../state/sidecar-records.js'
import { readDriveSidecar } from '../../storage/drive-files.js'
import { readSidecars } from '../../storage/sidecars.js'
import { ownDisks, type OwnDisk } from '../own-disks.js'

/** What stands right on a layer. `kept`: something that a delete has kept, to be attached again. */
export type Child =
  | { kind: 'disk'; node: NodeRecord; disk: OwnDisk }
  | { kind: 'layer'; layer: Layer }
  | { kind: 'kept' }

/** Everything that stands right on a layer. `kept`: what disks stand on that no record of the state names. Pure. */
export function childrenOf(
  state: Pick<Readonly<LabState>, 'nodes' | 'layers'>,
  kept: readonly Backing[],
  layerId: LayerId,
): Child[] {
  const on = (backing: Backing) => backing.kind === 'layer' && backing.layerId === layerId
  return [
    ...state.nodes.flatMap((node) =>
      ownDisks(node).flatMap((disk) => (on(disk.backing) ? [{ kind: 'disk' as const, node, disk }] : [])),
    ),
    ...state.layers.flatMap((layer) => (on(layer.backing) ? [{ kind: 'layer' as const, layer }] : [])),
    ...kept.filter(on).map(() => ({ kind: 'kept' as const })),
  ]
}

/** What disks, drives and snapshots stand on that a delete has kept. */
export async function keptBackings({ layout, store }: NodesContext): Promise<Backing[]> {
  const { nodes, layers } = store.data
  const [records, layerRecords, names] = await Promise.all([
    readSidecars(layout),
    readLayerSidecars(layout),
    readdir(layout.overlays),
  ])
  const attached = new Set<string>(nodes.map(({ id }) => id))
  const known = new Set<string>(layers.map(({ id }) => id))
  const drives = await Promise.all(
    names
      .filter((name) => /^drive_[0-9a-f-]{36}\.json$/.test(name))
      .map((name) => readDriveSidecar(layout, name.replace(/json$/, 'qcow2')).catch(() => undefined)), // tells nothing
  )
  return [
    ...records.found.flatMap(({ record }) => (attached.has(record.id) ? [] : ownDisks(record))),
    ...layerRecords.found.filter(({ id }) => !known.has(id)),
    ...drives.flatMap((drive) => drive?.record ?? []),
  ].map(({ backing }) => backing)
}

/** All layers that such disks stand on. */
export async function keptLayers(context: NodesContext): Promise<LayerId[]> {
  const { layers } = context.store.data
  const below = (await keptBackings(context)).flatMap((backing) => chainOf(layers, backing).layers)
  return [...new Set(below.map(({ id }) => id))]
}
