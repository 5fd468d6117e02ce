import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import type { UserId } from '../domain/ids.js'
import type { Image } from '../domain/image.js'
import type { MigrateWish, MigrationPlan, MovedNode } from '../domain/migration.js'
import type { LabState } from '../domain/state.js'
import type { User } from '../domain/user.js'
import { planAccounts, type PlannedAccount } from './accounts-plan.js'
import type { OldInstallation } from './find.js'
import { chooseImage, oldImageId, type ImageChoice } from './image-choice.js'
import { freeName, nodeNameOf } from './names.js'
import type { OldDisk, OldImage } from './old-disks.js'
import { asUuid, type OldNode } from './old-records.js'

/** What there is already. */
export interface Present {
  state: Pick<Readonly<LabState>, 'nodes' | 'images' | 'layers'>
  /** Null: the database was not asked. */
  accounts: readonly User[] | null
  overlaysFolder: string
  /** Names in our `images/`. */
  imageNames: readonly string[]
}

/** An image that comes over. */
export interface PlannedImage {
  id: string
  from: OldImage
}

/** A node that comes over. */
export interface PlannedNode {
  old: OldNode
  id: string
  name: string
  ownerId: UserId | null
  /** Null: it never ran. */
  disk: OldDisk | null
  /** It lies in our own folder under the name that the new one gets. */
  inPlace: boolean
  /** Of an image that is here, or that comes over. */
  imageId: string
  virtualSizeBytes: number
  notes: string[]
}

export interface Planned {
  shown: MigrationPlan
  nodes: PlannedNode[]
  images: PlannedImage[]
  accounts: PlannedAccount[]
}

/** Decides all of a migration. Pure: the same findings give the same plan, and what came over before is not asked again. */
export function planMigration(found: OldInstallation, present: Present, wish: Omit<MigrateWish, 'from'>): Planned {
  const people = planAccounts(found.users, present.accounts, wish.owner)
  const { records, warnings: doubles } = newestOfEach(found.nodes)
  const images = new Map<string, { image: PlannedImage; here: Image | undefined }>()
  const shown: MovedNode[] = []
  const nodes: PlannedNode[] = []
  const names: { name: string; ownerId: string | null }[] = [...present.state.nodes]
  const named = new Set<string>()
  const oldDisks = withoutOurs(found.disks, present)
  for (const old of records) {
    for (const one of withOtherDisks(old, oldDisks, named)) {
      const owner = people.ownerOf(old.userId)
      const decided = decide(one, found, present, wish)
      if ('leftOut' in decided || decided.here) {
        shown.push(staying(one, owner.login, decided))
        continue
      }
      const { choice, notes } = decided
      const from = 'from' in choice ? choice.from : choice.here
      const imageId = 'from' in choice ? noteImage(choice.from, images, present).id : choice.here.id
      const name = freeName(nodeNameOf(one.old.name, one.id), (taken) =>
        names.some((known) => known.name === taken && known.ownerId === owner.id),
      )
      if (name !== one.old.name) notes.push(`It was called ${JSON.stringify(one.old.name)}.`)
      names.push({ name, ownerId: owner.id })
      const inPlace = one.disk !== null && dirname(one.disk.path) === present.overlaysFolder
      const virtualSizeBytes = (one.disk ?? from).virtualSizeBytes
      nodes.push({ ...one, name, ownerId: owner.id, inPlace, imageId, virtualSizeBytes, notes })
      shown.push({
        ...staying(one, owner.login, { here: false }),
        name,
        action: one.disk ? 'copy' : 'empty',
        image: imageId,
        notes,
      })
    }
  }
  const planned = [...images.values()]
  const plan: Omit<MigrationPlan, 'token'> = {
    sources: found.sources,
    nodes: shown,
    images: planned.map(({ image: { id, from }, here }) => ({
      id,
      from: from.path,
      bytes: from.usedBytes,
      action: here ? 'here' : 'import',
    })),
    accounts: people.accounts.map(({ login, old, action }) => ({ login, email: old.email, role: old.role, action })),
    filesWithoutRecord: oldDisks
      .filter(({ key }) => !named.has(key))
      .map(({ path, usedBytes }) => ({ path, bytes: usedBytes })),
    warnings: [...found.warnings, ...people.warnings, ...doubles],
    requiredBytes: 0,
  }
  const coming = planned.filter(({ here }) => !here).map(({ image }) => image)
  plan.requiredBytes = bytesOf(nodes, coming)
  return { shown: { ...plan, token: tokenOf(found, present, wish) }, nodes, images: coming, accounts: people.accounts }
}

interface OneDisk {
  old: OldNode
  id: string
  disk: OldDisk | null
}

/** Names that its disk may have. */
export function filesOf({ diskFile, oldId, id }: OldNode): string[] {
  return [...(diskFile === null ? [] : [diskFile]), `node_${oldId}.qcow2`, `node_${id}.qcow2`]
}

/**
 * A node, with the disk that was written last. Where several differ, nobody but its user can tell which one is right:
 * each further one comes over as a node of its own.
 */
function withOtherDisks(old: OldNode, disks: readonly OldDisk[], named: Set<string>): OneDisk[] {
  const files = new Set(filesOf(old))
  const own = disks.filter(({ file }) => files.has(file)).toSorted((a, b) => b.mtimeMs - a.mtimeMs)
  const different = own.filter((disk, index) => own.findIndex((one) => isSame(one, disk)) === index)
  for (const disk of own) named.add(disk.key)
  const [newest, ...others] = different
  return [
    { old, id: old.id, disk: newest ?? null },
    ...others.map((disk) => ({
      old: { ...old, name: `${old.name || 'node'} other disk` },
      id: asUuid('other disk', `${old.id} ${disk.sizeBytes} ${disk.mtimeMs}`),
      disk,
    })),
  ]
}

/** By another name, or an exact copy that kept its time. */
function isSame(a: OldDisk, b: OldDisk): boolean {
  return a.key === b.key || (a.sizeBytes === b.sizeBytes && a.mtimeMs === b.mtimeMs)
}

type Decision =
  | { leftOut: string }
  | { here: true }
  | { here: false; choice: Exclude<ImageChoice, { missing: string }>; notes: string[] }

function decide(one: OneDisk, found: OldInstallation, present: Present, wish: Omit<MigrateWish, 'from'>): Decision {
  const { old, id, disk } = one
  if (present.state.nodes.some((node) => node.id === id)) return { here: true }
  if (wish.without.some((word) => [old.name, old.oldId, id].includes(word))) {
    return { leftOut: 'You asked to leave it behind.' }
  }
  if (disk && disk.fault !== null) return { leftOut: `Its disk ${disk.path} can't come over: ${disk.fault}.` }
  const choice = chooseImage(old, disk, found.images, present.state.images)
  if ('missing' in choice) return { leftOut: choice.missing }
  if ('from' in choice && choice.from.fault !== null) {
    return { leftOut: `Its base image ${choice.from.path} can't come over: ${choice.from.fault}.` }
  }
  const notes: string[] = []
  if (!disk) notes.push('It never ran: it gets an empty disk over its base image.')
  if (disk && 'from' in choice && old.createdAt !== null && choice.from.mtimeMs > Date.parse(old.createdAt)) {
    const [changed, made] = [new Date(choice.from.mtimeMs).toISOString(), old.createdAt]
    notes.push(
      `Its base image was written at ${changed}, after the node was made (${made}): if it was replaced by another one, the node did not work any more, and will not here.`,
    )
  }
  return { here: false, choice, notes }
}

function staying({ old, id, disk }: OneDisk, owner: string | null, decision: { leftOut: string } | { here: boolean }) {
  const leftOut = 'leftOut' in decision
  const shown: MovedNode = {
    id,
    name: null,
    oldName: old.name,
    owner,
    action: leftOut ? 'left-out' : 'here',
    reason: leftOut ? decision.leftOut : null,
    disk: disk?.path ?? null,
    diskBytes: disk?.usedBytes ?? 0,
    image: null,
    notes: [],
  }
  return shown
}

function noteImage(
  from: OldImage,
  images: Map<string, { image: PlannedImage; here: Image | undefined }>,
  present: Present,
): PlannedImage {
  const known = images.get(from.sha256)
  if (known) return known.image
  const here = present.state.images.find(({ sourceSha256 }) => sourceSha256 === from.sha256)
  const taken = [
    ...present.state.images.map(({ id }) => id),
    ...[...images.values()].map(({ image }) => image.id),
    ...present.imageNames.map((name) => name.replace(/\.qcow2$/, '')),
  ]
  const image = { id: here?.id ?? oldImageId(from.file, taken), from }
  images.set(from.sha256, { image, here })
  return image
}

/** Two files may hold the same node: the record that was changed last counts. */
function newestOfEach(nodes: readonly OldNode[]): { records: OldNode[]; warnings: string[] } {
  const newest = new Map<string, OldNode>()
  const warnings: string[] = []
  for (const node of nodes) {
    const other = newest.get(node.id)
    if (!other) newest.set(node.id, node)
    else {
      const [kept, left] = (node.updatedAt ?? '') > (other.updatedAt ?? '') ? [node, other] : [other, node]
      newest.set(node.id, kept)
      warnings.push(
        `The node ${node.name || node.oldId} is in ${kept.source} and in ${left.source}: the first was changed last and counts.`,
      )
    }
  }
  return { records: [...newest.values()], warnings }
}

/** What lies in our folder and is named by the lab's own records is no old disk, whatever an old record says. */
function withoutOurs(disks: readonly OldDisk[], { state, overlaysFolder }: Present): OldDisk[] {
  const { nodes, layers } = state
  const ours = new Set(nodes.flatMap((node) => [node.overlayFile, ...node.drives.map(({ file }) => file)]))
  for (const { file } of layers) ours.add(file)
  return disks.filter(({ path, file }) => dirname(path) !== overlaysFolder || !ours.has(file))
}

/** Disks are copied; an image is copied, then converted beside its copy. */
function bytesOf(nodes: readonly PlannedNode[], images: readonly PlannedImage[]): number {
  const disks = nodes.reduce((sum, { disk }) => sum + (disk?.usedBytes ?? 512 * 1024), 0)
  return images.reduce((sum, { from }) => sum + 2 * from.usedBytes, disks)
}

/** Of what was looked at, not of what was decided: a plan that is only shown does not ask who has which login here. */
function tokenOf(found: OldInstallation, present: Present, wish: Omit<MigrateWish, 'from'>): string {
  const files = [...found.disks, ...found.images].map(({ path, sizeBytes, mtimeMs }) => ({ path, sizeBytes, mtimeMs }))
  const { nodes, images } = present.state
  const here = [...nodes, ...images].map(({ id }) => id)
  return createHash('sha256')
    .update(JSON.stringify({ files, records: found.nodes, users: found.users, here, without: wish.without }))
    .digest('hex')
}
