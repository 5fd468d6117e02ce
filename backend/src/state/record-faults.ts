import { chainOf, MAX_CHAIN_DEPTH, type Backing } from '../domain/layer.js'
import type { LabState } from '../domain/state.js'

type Records = Pick<Readonly<LabState>, 'nodes' | 'images' | 'layers' | 'snapshots'>

export interface RecordFault {
  /** In words: `node web`. */
  subject: string
  message: string
}

/** What records say against each other: names that are there twice, and what is named but has no record. Pure. */
export function recordFaults(state: Records): RecordFault[] {
  return [...doubles(state), ...nodeFaults(state), ...layerFaults(state), ...snapshotFaults(state)]
}

function doubles({ nodes, images, layers, snapshots }: Records): RecordFault[] {
  const drives = nodes.flatMap((node) => node.drives.map(({ file }) => file))
  const lists: [what: string, values: string[]][] = [
    ['the node id', nodes.map(({ id }) => id)],
    ['the node name', nodes.map(({ name }) => name)],
    ['the MAC address', nodes.map(({ mac }) => mac)],
    ['the disk file', [...nodes.map(({ overlayFile }) => overlayFile), ...drives, ...layers.map(({ file }) => file)]],
    ['the image', images.map(({ id }) => id)],
    ['the image file', images.map(({ file }) => file)],
    ['the layer', layers.map(({ id }) => id)],
    ['the snapshot', snapshots.map(({ id }) => id)],
    ['the snapshot name', snapshots.map(({ nodeId, name }) => `${name} of node ${nodeId}`)],
  ]
  return lists.flatMap(([what, values]) =>
    twice(values).map((value) => ({ subject: 'records', message: `${what} ${value} is there more than once` })),
  )
}

function twice(values: readonly string[]): string[] {
  const seen = new Set<string>()
  return [...new Set(values.filter((value) => seen.size === seen.add(value).size))]
}

function nodeFaults({ nodes, images, layers }: Records): RecordFault[] {
  const known = new Set<string>(images.map(({ id }) => id))
  return nodes.flatMap((node) => {
    const subject = `node ${node.name}`
    const chain = chainOf(layers, node.backing)
    const noImage = chain.base && !known.has(node.imageId) ? [`its base image ${node.imageId} has no record`] : []
    const disks: [string, Backing][] = [
      ['its root disk', node.backing],
      ...node.drives.map(({ id, backing }): [string, Backing] => [`its drive ${id}`, backing]),
    ]
    return [...noImage, ...disks.flatMap(([disk, backing]) => chainFaults(layers, disk, backing))].map((message) => ({
      subject,
      message,
    }))
  })
}

function chainFaults(layers: Records['layers'], disk: string, backing: Backing): string[] {
  const { missing, layers: below } = chainOf(layers, backing)
  if (missing !== null) return [`${disk} stands on the layer ${missing}, which has no record`]
  // One may be over for a moment: it is flattened in the background.
  return below.length > MAX_CHAIN_DEPTH * 2 ? [`${disk} stands on ${below.length} layers`] : []
}

function layerFaults({ layers, images }: Records): RecordFault[] {
  const ids = new Set<string>(layers.map(({ id }) => id))
  const known = new Set<string>(images.map(({ id }) => id))
  return layers.flatMap((layer) => {
    const subject = `layer ${layer.id}`
    const { backing, imageId, driveId } = layer
    if (backing.kind === 'layer' && !ids.has(backing.layerId)) {
      return [{ subject, message: `it stands on the layer ${backing.layerId}, which has no record` }]
    }
    const needsImage = backing.kind === 'image' && driveId === 'root'
    return needsImage && !known.has(imageId) ? [{ subject, message: `its base image ${imageId} has no record` }] : []
  })
}

function snapshotFaults({ snapshots, layers }: Records): RecordFault[] {
  const ids = new Set<string>(layers.map(({ id }) => id))
  return snapshots.flatMap((snapshot) =>
    snapshot.disks
      .filter(({ layerId }) => !ids.has(layerId))
      .map(({ driveId, layerId }) => ({
        subject: `snapshot ${snapshot.name}`,
        message: `the layer ${layerId} of its disk ${driveId} has no record`,
      })),
  )
}
