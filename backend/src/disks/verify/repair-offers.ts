import { formatBytes } from '../../domain/units.js'
import { chainOf } from '../../domain/layer.js'
import { overlayApiPath } from '../../domain/layout.js'
import type { NodeRecord } from '../../domain/node.js'
import { rootLayerOf, snapshotsOf } from '../../domain/snapshot.js'
import type { Finding } from '../../domain/storage.js'
import type { TrashEntry } from '../../domain/trash.js'
import { imageOf, type NodesContext } from '../../nodes/context.js'
import { driveApiPath } from '../../storage/drive-files.js'
import { headerFault, readHeader } from '../../storage/overlay-faults.js'
import { backingNameOf } from '../../storage/overlays.js'
import { listTrash } from '../../storage/trash-store.js'
import { verifyExists, type Seen } from '../../storage/verify-disk.js'
import { findOrphans, type FoundOrphan } from '../orphans/orphans.js'

type Repairs = Finding['repairs']
type About = { type: 'node' | 'image' | 'layer' | 'registry'; id: string }
/** What could be done about a finding; nothing for one that is well. Reads, and changes nothing. */
export type Offers = (about: About, seen: Seen) => Promise<Repairs>

/** Of each kind: more would be no help. */
const OFFERED = 3

/** One for each verification: the trash and the folder are read once, and only when something is wrong. */
export function createOffers(context: NodesContext): Offers {
  let trash: Promise<TrashEntry[]> | undefined
  let strangers: Promise<FoundOrphan[]> | undefined
  const inTrash = () => (trash ??= listTrash(context.layout))
  const unnamed = () => (strangers ??= findOrphans(context))
  return async (about, seen) => {
    if (seen.ok) return []
    if (seen.check === 'sidecar') return [writeSidecar(seen)]
    const fromTrash = seen.check === 'exists' ? trashOffers(seen, await inTrash()) : []
    if (about.type === 'image') return [...fromTrash, ...imageOffers(context, about.id, seen)]
    if (about.type === 'layer') return fromTrash
    const record = context.store.data.nodes.find(({ id }) => id === about.id)
    if (!record) return []
    const isRoot = seen.path === overlayApiPath(record.overlayFile)
    return [
      ...fromTrash,
      ...(seen.path.startsWith('/images/') ? imageOffers(context, record.imageId, seen) : []),
      ...(isRoot ? snapshotOffers(context, record) : driveOffers(context, record, seen)),
      ...(isRoot && seen.check === 'exists' ? await attachOffers(context, record, await unnamed()) : []),
      dropRecord(record),
    ]
  }
}

function writeSidecar({ path }: Seen): Repairs[number] {
  return { repair: 'write-sidecar', title: `Write ${path} anew from the record; nothing is lost`, argument: null }
}

function dropRecord({ name }: NodeRecord): Repairs[number] {
  return { repair: 'drop-record', title: `Take ${name} from the list; its files stay`, argument: null }
}

function trashOffers({ path }: Seen, entries: readonly TrashEntry[]): Repairs {
  const holds = ({ files }: TrashEntry) => files.some(({ was }) => path === was || path === overlayApiPath(was))
  return entries
    .filter(holds)
    .slice(0, OFFERED)
    .map(({ id, title, at }) => ({
      repair: 'restore-from-trash',
      title: `Bring it back from the trash: ${title}, ${at}`,
      argument: id,
    }))
}

function snapshotOffers(context: NodesContext, record: NodeRecord): Repairs {
  return snapshotsOf(context.store.data, record.id)
    .filter((snapshot) => rootLayerOf(snapshot) !== null)
    .toReversed()
    .slice(0, OFFERED)
    .map(({ id, name, createdAt }) => ({
      repair: 'restore-snapshot',
      title: `Go back to the snapshot ${name} of ${createdAt}; what was written since is lost`,
      argument: id,
    }))
}

function driveOffers({ layout }: NodesContext, record: NodeRecord, seen: Seen): Repairs {
  const drive = record.drives.find((one) => driveApiPath(layout, one) === seen.path)
  if (drive?.source !== 'automatic' || seen.check !== 'exists' || seen.message !== 'MISSING') return []
  const content = drive.backing.kind === 'layer' ? 'as it was at its newest snapshot' : 'empty'
  const title = `Make the drive ${drive.id} anew, ${content}, of ${formatBytes(drive.sizeBytes)}`
  return [{ repair: 'recreate-drive', title, argument: null }]
}

/** The same content elsewhere among the images; or in the file itself, when only its time has changed. */
function imageOffers(context: NodesContext, imageId: string, seen: Seen): Repairs {
  const { images, nodes } = context.store.data
  const sha256 =
    images.find(({ id }) => id === imageId)?.fingerprint.sha256 ??
    nodes.find((node) => node.imageId === imageId)?.base.sha256
  if (seen.check !== 'exists' && seen.check !== 'fingerprint' && seen.check !== 'content') return []
  const same = images.filter((image) => image.id !== imageId && image.fingerprint.sha256 === sha256)
  const others = same.slice(0, OFFERED).map(({ id }): Repairs[number] => ({
    repair: 'rebase',
    title: `Put the same content, which the image ${id} has, in its place`,
    argument: id,
  }))
  if (seen.check !== 'fingerprint') return others
  const again = 'Read it whole, and take it on as it is when its content is the recorded one'
  return [{ repair: 'rebase', title: again, argument: imageId }, ...others]
}

/** A disk that stands on the same and has the same size: nobody but a person can know whether it is the one. */
async function attachOffers(
  context: NodesContext,
  record: NodeRecord,
  orphans: readonly FoundOrphan[],
): Promise<Repairs> {
  const offers: Repairs = []
  for (const { disk } of orphans) {
    if (offers.length === OFFERED) break
    if (disk.place !== 'overlays' || disk.fault !== null) continue
    const { name } = disk
    if ((await attachFault(context, record, name)) !== undefined) continue
    const title = `Give it the disk ${overlayApiPath(name)}, which no node has; it fits`
    offers.push({ repair: 'attach', title, argument: overlayApiPath(name) })
  }
  return offers
}

/** Why this file of `overlays/` can't be the node's root disk, as the rest of a sentence. */
export async function attachFault(
  context: NodesContext,
  record: NodeRecord,
  name: string,
): Promise<string | undefined> {
  const { layout, store } = context
  const path = `${layout.overlays}/${name}`
  const exists = await verifyExists({ path, name, access: 'write' })
  if (!exists.ok) return exists.message
  const header = await readHeader(path)
  if (typeof header === 'string') return `is damaged: ${header}`
  const chain = chainOf(store.data.layers, record.backing)
  return headerFault(header, record, await backingNameOf(layout, imageOf(context, record.imageId), chain))
}
