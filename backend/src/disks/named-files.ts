import { driveApiPath } from '../storage/drive-files.js'
import type { Layout } from '../domain/layout.js'
import { overlayApiPath } from '../domain/layout.js'
import type { Operation } from '../domain/operation.js'
import type { LabState } from '../domain/state.js'

/** Whose a managed file is, in words for people: `web`, `the image debian-12`. By path, as `/overlays/…`. */
export function namedFiles(state: Readonly<LabState>, layout: Layout): Map<string, string> {
  const named = new Map<string, string>()
  for (const image of state.images) {
    for (const file of [image.file, ...Object.keys(image.bootFiles)]) {
      named.set(`/images/${file}`, `the image ${image.id}`)
    }
  }
  for (const layer of state.layers) named.set(overlayApiPath(layer.file), layerHolder(state, layer.id, layer.nodeId))
  for (const node of state.nodes) {
    named.set(overlayApiPath(node.overlayFile), node.name)
    for (const drive of node.drives) named.set(driveApiPath(layout, drive), `${node.name} (drive ${drive.id})`)
  }
  return named
}

function layerHolder(state: Readonly<LabState>, layerId: string, nodeId: string): string {
  const snapshot = state.snapshots.find(({ disks }) => disks.some((disk) => disk.layerId === layerId))
  const node = state.nodes.find(({ id }) => id === nodeId)
  if (snapshot) return `the snapshot ${snapshot.name}${node ? ` of ${node.name}` : ''}`
  return node ? `a layer of ${node.name}` : 'a layer that others stand on'
}

/** The operation under way that makes this file, or takes it away: it is nobody's orphan while that runs. */
export function operationOn(operations: readonly Operation[], path: string): Operation | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const id = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(name)?.[0]
  const isIt = (text: string | undefined) =>
    text !== undefined && (text.endsWith(`/${name}`) || (id !== undefined && text.includes(id)))
  return operations.find(
    ({ state, resources, items }) =>
      state === 'running' &&
      (resources.some((one) => isIt(one.id) || isIt(one.finalPath)) ||
        items.some((item) => isIt(item.id ?? undefined))),
  )
}
