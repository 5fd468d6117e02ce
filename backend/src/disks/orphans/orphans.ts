import type { Layout } from '../../domain/layout.js'
import type { Orphan } from '../../domain/storage.js'
import type { NodesContext } from '../../nodes/context.js'
import { lookAtDisk, scanDisks, unnamedDisks, type FoundDisk } from '../../storage/orphan-scan.js'
import { createBreather } from '../../system/breather.js'
import { formerNodes, formerOf, type Former, type FormerNodes } from './formers.js'
import { namedFiles, operationOn } from '../named-files.js'
import { findLostMemories } from './lost-memories.js'

/** A disk that no record names, with what its record tells. */
export interface FoundOrphan {
  disk: FoundDisk
  former: Former
}

/** Every orphan, by its path; what an operation under way is about to name is none. Nothing is touched. */
export async function findOrphans(context: NodesContext): Promise<FoundOrphan[]> {
  const { layout, store, operations } = context
  const found = await scanDisks(layout)
  // After the scan: what was made meanwhile has its record by now, or its operation.
  const named = namedFiles(store.data, layout)
  const running = operations.list().filter(({ state }) => state === 'running')
  const unnamed = await unnamedDisks(layout, found, new Set(named.keys()))
  const free = unnamed.filter(({ path }) => operationOn(running, path) === undefined)
  const nodes = free.length > 0 ? await formerNodes(layout, store.data) : NO_NODES
  const orphans: FoundOrphan[] = []
  const breathe = createBreather()
  for (const disk of free) {
    orphans.push({ disk, former: await formerOf(layout, disk.place === 'overlays' ? disk.name : '', nodes) })
    await breathe()
  }
  return orphans.toSorted((one, other) => one.disk.path.localeCompare(other.disk.path))
}

/** The same with lost memories: all that could be freed, which is more than what can be attached. */
export async function findDiscardable(context: NodesContext): Promise<FoundOrphan[]> {
  return [...(await findOrphans(context)), ...(await findLostMemories(context))]
}

/** The orphans as the API answers them, and the bytes that they hold. */
export async function listOrphans(context: NodesContext): Promise<{ orphans: Orphan[]; totalBytes: number }> {
  const found = await findDiscardable(context)
  const inodes = new Set<number>()
  let totalBytes = 0
  for (const { disk } of found) {
    if (!inodes.has(disk.inode)) totalBytes += disk.usedBytes
    inodes.add(disk.inode)
  }
  return { orphans: found.map((one) => viewOrphan(context, one)), totalBytes }
}

function viewOrphan({ layout, owners }: NodesContext, { disk, former }: FoundOrphan): Orphan {
  const { nodeName, nodeId, ownerId } = former
  return {
    path: disk.path,
    usedBytes: disk.usedBytes,
    sizeBytes: disk.sizeBytes,
    virtualSizeBytes: disk.virtualSizeBytes,
    format: disk.format,
    changedAt: disk.changedAt.toISOString(),
    kind: former.kind,
    formerly:
      nodeName !== null && nodeId !== null && ownerId !== null
        ? { nodeName, nodeId, ownerId, ownerLogin: owners.get(ownerId)?.login ?? null }
        : null,
    snapshotName: former.snapshotName,
    backing: disk.backingName === null ? null : backingOf(layout, disk),
    fault: faultOf(disk),
  }
}

function backingOf(layout: Layout, { backingName, backingPath }: FoundDisk): Orphan['backing'] {
  if (backingPath === null) return { path: backingName?.slice(0, 200) ?? '', present: false }
  return { path: backingPath, present: isThere(layout, backingPath) }
}

export function isThere(layout: Layout, path: string): boolean {
  const [, place, name = ''] = path.split('/')
  return lookAtDisk(layout, place === 'images' ? 'images' : 'overlays', name) !== undefined
}

function faultOf({ fault, path }: FoundDisk): string | null {
  return fault === null ? null : `${path} can't be attached: ${fault}.`
}

const NO_NODES: FormerNodes = { byId: new Map(), byDrive: new Map() }
