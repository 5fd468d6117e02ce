import { mkdir } from 'node:fs/promises'
import { SandlabError, isSandlabError } from '../domain/error.js'
import { chainOf, type Layer } from '../domain/layer.js'
import type { Layout } from '../domain/layout.js'
import type { NodeRecord } from '../domain/node.js'
import { keptBySnapshots, type Snapshot } from '../domain/snapshot.js'
import { emptyState, type LabState } from '../domain/state.js'
import type { User } from '../domain/user.js'
import { storageFailure } from '../system/durable-file.js'
import { freezeTree } from './draft.js'
import { withStateLock } from './lock.js'
import { readOwners, type Owner } from './owners.js'
import {
  listStorage,
  readImageSidecars,
  readLayerSidecars,
  readNodeSidecars,
  type NodeSidecar,
  type UnreadableSidecar,
} from './sidecar-records.js'
import { loadStateFiles, moveStateFilesAside, writeStateFile } from './state-files.js'

export interface RebuildReport {
  nodes: number
  images: number
  /** Disks whose nodes were deleted with their storage kept: they stay orphans. */
  detached: number
  /** Disks without a readable record; nothing happens to them. */
  overlaysWithoutRecord: number
  unreadable: UnreadableSidecar[]
  /** Where the files that could not be read are now. */
  movedAside: string[]
  /** Nodes whose owners have no account now, by the login that they had; an account of that login has them again. */
  ownerless: { login: string | null; nodes: number }[]
}

/**
 * Makes a fresh state file from the records beside the disks and base images, after safe mode. What could not be read
 * is moved aside under a dated name, never overwritten. A node comes back as its sidecar has it; one whose disk is
 * missing shows as broken. Finished operations are lost. Where the accounts were lost, too, and an owner's login has a
 * new one by now, the node is that one's.
 *
 * Throws `wrong_status` when the state can be read and `state_locked` when a backend uses it; nothing is changed then.
 */
export async function rebuildFromSidecars(
  layout: Layout,
  accounts: readonly Account[] | null = null,
): Promise<RebuildReport> {
  await mkdir(layout.state, { recursive: true, mode: 0o700 })
  return withStateLock(layout, async () => {
    await refuseReadableState(layout)
    const nodes = await readNodeSidecars(layout)
    const images = await readImageSidecars(layout)
    const layers = await readLayerSidecars(layout)
    const ofStatus = (status: NodeSidecar['status']) =>
      nodes.found.flatMap((sidecar) => (sidecar.status === status ? [sidecar.record] : []))
    const owners = await readOwners(layout)
    const records = ofStatus('attached').map((record) => handedOver(record, owners, accounts ?? []))
    const detached = ofStatus('detached')
    const known = new Set(nodes.found.map((sidecar) => sidecar.record.overlayFile))
    const { overlays } = await listStorage(layout)
    const movedAside = await moveStateFilesAside(layout)
    const data = freezeTree({
      ...emptyState(),
      nodes: records,
      images: images.found,
      ...keptLayers(layers, records, detached),
    })
    try {
      await writeStateFile(layout, { revision: 1, data })
    } catch (error) {
      throw storageFailure('write the rebuilt state', error)
    }
    return {
      nodes: records.length,
      images: images.found.length,
      detached: nodes.found.length - records.length,
      overlaysWithoutRecord: overlays.filter((file) => !known.has(file)).length,
      unreadable: [...nodes.unreadable, ...layers.unreadable, ...images.unreadable],
      movedAside,
      ownerless: accounts === null ? [] : ownerlessOf(records, owners, accounts),
    }
  })
}

type Account = Pick<User, 'id' | 'login'>

function handedOver(record: NodeRecord, owners: readonly Owner[], accounts: readonly Account[]): NodeRecord {
  if (accounts.some(({ id }) => id === record.ownerId)) return record
  const login = owners.find(({ id }) => id === record.ownerId)?.login
  const heir = accounts.find((account) => account.login === login)
  return heir ? { ...record, ownerId: heir.id } : record
}

function ownerlessOf(records: readonly NodeRecord[], owners: readonly Owner[], accounts: readonly Account[]) {
  const counts = new Map<string | null, number>()
  for (const { ownerId } of records) {
    if (accounts.some(({ id }) => id === ownerId)) continue
    const login = owners.find(({ id }) => id === ownerId)?.login ?? null
    counts.set(login, (counts.get(login) ?? 0) + 1)
  }
  return [...counts].map(([login, nodes]) => ({ login, nodes }))
}

/**
 * The snapshots of nodes that are there, and the layers that these, and the disks of all nodes and kept disks, stand on.
 * The others were spared when their nodes were deleted with their storage: they stay orphans.
 */
function keptLayers(
  { found, snapshots }: { found: Layer[]; snapshots: Snapshot[] },
  records: readonly NodeRecord[],
  detached: readonly NodeRecord[],
): Pick<LabState, 'layers' | 'snapshots'> {
  const own = snapshots.filter(({ nodeId }) => records.some(({ id }) => id === nodeId))
  const disks = [...records, ...detached].flatMap((record) => [record, ...record.drives])
  const kept = keptBySnapshots(own).map((layerId) => ({ kind: 'layer' as const, layerId }))
  const standing = [...disks.map(({ backing }) => backing), ...kept]
  const needed = new Set(standing.flatMap((backing) => chainOf(found, backing).layers))
  return { layers: found.filter((layer) => needed.has(layer)), snapshots: own }
}

async function refuseReadableState(layout: Layout): Promise<void> {
  try {
    await loadStateFiles(layout)
  } catch (error) {
    if (isSandlabError(error, 'safe_mode')) return
    throw error
  }
  throw new SandlabError('wrong_status', 'The state can be read: there is nothing to rebuild.')
}
