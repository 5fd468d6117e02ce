import { overlayApiPath } from '../../domain/layout.js'
import type { NodesContext } from '../../nodes/context.js'
import { scanMemories } from '../../storage/orphan-scan.js'
import { readSidecars } from '../../storage/sidecars.js'
import { operationOn } from '../named-files.js'
import { NOTHING } from './formers.js'
import type { FoundOrphan } from './orphans.js'

/**
 * Memories of suspended guests that no record names any more, neither a node's nor one beside a kept disk. Nothing goes on
 * from them: they can only be discarded. Nothing is touched.
 */
export async function findLostMemories({ layout, store, operations }: NodesContext): Promise<FoundOrphan[]> {
  const found = await scanMemories(layout)
  if (found.length === 0) return []
  const { found: sidecars } = await readSidecars(layout)
  // Last: what was made meanwhile has its record by now, or its operation.
  const kept = sidecars.flatMap(({ status, record }) => (status === 'detached' ? [record] : []))
  const named = new Set(
    [...store.data.nodes, ...kept].flatMap(({ suspended }) =>
      suspended ? [overlayApiPath(suspended.memoryFile)] : [],
    ),
  )
  const running = operations.list().filter(({ state }) => state === 'running')
  return found
    .filter(({ path }) => !named.has(path) && operationOn(running, path) === undefined)
    .map((disk) => ({ disk, former: { ...NOTHING, kind: 'memory' } }))
}
