import type { NodeId } from '../domain/ids.js'
import type { Image } from '../domain/image.js'
import { chainOf, type Layer } from '../domain/layer.js'
import type { Layout } from '../domain/layout.js'
import type { NodeRecord } from '../domain/node.js'
import type { EngineNode } from '../hosts/engine.js'
import { inspectOverlay, usedBytes } from '../storage/overlays.js'
import { overlayFile } from '../domain/layout.js'
import { drivesFault } from './drives.js'
import type { Observation } from './view.js'

/** What was last seen of each node: the engine's word, our own running action, the state of its storage. */
export interface Observations {
  of(id: NodeId): Observation
  setEngine(node: EngineNode): void
  setTransition(id: NodeId, transition: Observation['transition']): void
  /** Looks at the node's files now. Returns what is wrong, in words, or undefined. */
  inspectStorage(record: NodeRecord, image: Image | undefined): Promise<string | undefined>
  forget(id: NodeId): void
}

export function createObservations(layout: Layout, layers: () => readonly Layer[]): Observations {
  const seen = new Map<NodeId, Observation>()

  function of(id: NodeId): Observation {
    return seen.get(id) ?? { engine: undefined, transition: undefined, storageFault: undefined, diskUsedBytes: null }
  }

  function update(id: NodeId, change: Partial<Observation>): void {
    seen.set(id, { ...of(id), ...change })
  }

  return {
    of,
    setEngine: (node) => update(node.id, { engine: node }),
    setTransition: (id, transition) => update(id, { transition }),
    forget: (id) => void seen.delete(id),

    async inspectStorage(record, image) {
      // A running QEMU holds the image's lock and has it open; its size is all that can be read beside it.
      const phase = of(record.id).engine?.phase
      if (phase === 'running' || phase === 'paused') {
        update(record.id, { storageFault: undefined, diskUsedBytes: await usedBytes(overlayFile(layout, record.id)) })
        return undefined
      }
      const found = await inspectOverlay(layout, record, image, chainOf(layers(), record.backing))
      const fault = found.ok ? await drivesFault(layout, record, layers()) : found.reason
      update(record.id, { storageFault: fault, diskUsedBytes: found.ok ? found.usedBytes : null })
      return fault
    },
  }
}
