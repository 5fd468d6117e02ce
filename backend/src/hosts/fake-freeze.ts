import type { NodeId } from '../domain/ids.js'
import { overlayFile, type Layout } from '../domain/layout.js'
import { EngineError } from './engine.js'
import type { FrozenDisk } from './engine-disks.js'
import type { FakeFaults } from './fake-faults.js'
import { requireAlive, requireKnown, type FakeMachines } from './fake-machine.js'

/** The fake's frozen disks: its guests write nothing, so the overlay itself stands still. */
export interface FakeFreezer {
  freeze(id: NodeId, key: string): Promise<FrozenDisk>
  /** Throws `conflict` while the node's disk is frozen. */
  requireThawed(id: NodeId): void
  isFrozen(id: NodeId): boolean
}

interface FakeFreezerWorld {
  machines: FakeMachines
  faults: FakeFaults
  /** Without it there are no files that could be read. */
  layout: Layout | undefined
}

export function createFakeFreezer({ machines, faults, layout }: FakeFreezerWorld): FakeFreezer {
  const frozen = new Map<NodeId, { key: string; disk: FrozenDisk }>()
  const requireThawed = (id: NodeId) => {
    if (frozen.has(id)) throw new EngineError('conflict', 'Its disk is being copied.', { retry: true })
  }
  return {
    requireThawed,
    isFrozen: (id) => frozen.has(id),
    async freeze(id, key) {
      if (!layout) throw new EngineError('unsupported', 'A fake engine without files has no disk to freeze.')
      requireKnown(requireAlive(machines.of(id)))
      const known = () => (frozen.get(id)?.key === key ? frozen.get(id)?.disk : undefined)
      if (!known()) {
        requireThawed(id)
        await faults.meet('freezeDisk')
        requireAlive(machines.of(id))
      }
      const made = known() // by another call, while this one was held
      if (made) return made
      requireThawed(id)
      const entry = { key, disk: { frozenFile: overlayFile(layout, id), release } }
      frozen.set(id, entry)
      return entry.disk

      async function release(): Promise<void> {
        if (frozen.get(id) !== entry) return
        await faults.meet('releaseDisk')
        frozen.delete(id)
      }
    },
  }
}
