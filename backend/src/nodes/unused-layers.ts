import { readdir, readFile } from 'node:fs/promises'
import { z } from 'zod'
import { driveSidecarSchema, type DriveRecord } from '../domain/drive.js'
import type { LayerId, NodeId } from '../domain/ids.js'
import { chainOf, type Backing, type Layer } from '../domain/layer.js'
import type { Layout } from '../domain/layout.js'
import type { NodeRecord } from '../domain/node.js'
import { keptBySnapshots, snapshotsOf } from '../domain/snapshot.js'
import type { LabState } from '../domain/state.js'
import { readLayerSidecars } from '../state/sidecar-records.js'
import { readSidecars } from '../storage/sidecars.js'
import { recordOf, type NodesContext } from './context.js'

/** The layers under nodes that are about to go: those that may be of no use afterwards. */
export function layersUnder(state: Pick<Readonly<LabState>, 'layers'>, records: readonly NodeRecord[]): LayerId[] {
  const disks = records.flatMap((record) => [record.backing, ...record.drives.map(({ backing }) => backing)])
  return [...new Set(disks.flatMap((backing) => chainOf(state.layers, backing).layers.map(({ id }) => id)))]
}

/**
 * Layers that disks, drives and snapshots stand on which a delete has kept, without a record of theirs in the state.
 * `leaving`: nodes whose storage goes now.
 */
export async function layersOfKeptDisks(context: NodesContext, leaving: readonly NodeId[]): Promise<LayerId[]> {
  const { layout, store } = context
  const [{ found }, layers, drives] = await Promise.all([
    readSidecars(layout),
    readLayerSidecars(layout),
    readDriveSidecars(layout),
  ])
  // Attached ones, too: a node that is deleted at the same time is kept or in the trash only after its own commit.
  const staying = found.flatMap(({ record }) => (leaving.includes(record.id) ? [] : [record]))
  const known = new Set(store.data.layers.map(({ id }) => id))
  const below = [...layers.found.filter(({ id }) => !known.has(id)), ...drives]
  const kept = below.flatMap(({ backing }) => chainOf(store.data.layers, backing).layers.map(({ id }) => id))
  return [...new Set([...layersUnder(store.data, staying), ...kept])]
}

/** Drives that were taken off a node, and kept. */
async function readDriveSidecars({ overlays }: Layout): Promise<DriveRecord[]> {
  const names = (await readdir(overlays)).filter((name) => /^drive_[0-9a-f-]{36}\.json$/.test(name))
  const read = async (name: string) => {
    const text = await readFile(`${overlays}/${name}`, 'utf8').catch(() => '') // gone meanwhile
    const parsed = z.string().transform(fromJson).pipe(driveSidecarSchema).safeParse(text)
    return parsed.success ? [parsed.data.record] : []
  }
  return (await Promise.all(names.map(read))).flat()
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/**
 * Takes from the state those of `candidates` that nothing stands on any more: no node, no other layer, no kept disk,
 * no snapshot. Answers with them. For use within the change of state that removes nodes.
 */
export function dropUnusedLayers(
  draft: Pick<LabState, 'nodes' | 'layers' | 'snapshots'>,
  candidates: readonly LayerId[],
  kept: readonly LayerId[],
): void {
  const isLayer = (backing: Backing) => (backing.kind === 'layer' ? [backing.layerId] : [])
  for (let dropped = true; dropped;) {
    const standing = [...draft.nodes, ...draft.nodes.flatMap(({ drives }) => drives), ...draft.layers]
    const used = new Set([
      ...kept,
      ...keptBySnapshots(draft.snapshots),
      ...standing.flatMap(({ backing }) => isLayer(backing)),
    ])
    const unused = draft.layers.find(({ id }) => candidates.includes(id) && !used.has(id))
    dropped = unused !== undefined
    if (unused) draft.layers = draft.layers.filter((layer) => layer !== unused)
  }
}

/** Those of `candidates` that the state no longer has. */
export function goneFrom(state: Pick<Readonly<LabState>, 'layers'>, candidates: readonly LayerId[]): LayerId[] {
  return candidates.filter((id) => !state.layers.some((layer) => layer.id === id))
}

/** What a node's disks stand on, and what its snapshots keep; newest first. Throws `not_found`. */
export function layersOf(context: NodesContext, id: string): Layer[] {
  const record = recordOf(context, id)
  const { data } = context.store
  const mine = [...layersUnder(data, [record]), ...keptBySnapshots(snapshotsOf(data, record.id))]
  return data.layers
    .filter((layer) => mine.includes(layer.id))
    .toSorted((one, other) => other.createdAt.localeCompare(one.createdAt))
}
