import { DEFAULT_SETTINGS } from '../domain/drive.js'
import { imageIdSchema, nodeIdSchema, type UserId } from '../domain/ids.js'
import type { Image } from '../domain/image.js'
import { overlayFileName } from '../domain/layout.js'
import { nodeRecordSchema, type NodeRecord } from '../domain/node.js'
import { macOf } from '../hosts/machine.js'
import type { ImageAbout } from '../images/image-record.js'
import { wholeSectors } from '../system/qcow2-overlay.js'
import type { PlannedImage, PlannedNode } from './plan.js'

/** Where an old record says nothing. */
const DEFAULT_MEMORY_MIB = 2048
const DEFAULT_CPUS = 1
/** Until the image is here. */
const UNKNOWN_BASE = { sha256: '0'.repeat(64), sizeBytes: 0, mtimeMs: 0 }

/**
 * The new record of an old node: all that older records lack is filled in. Its devices stay those that its guest was
 * installed on; it has no seed, since its image never read one. Pure.
 */
export function recordOfOld(node: PlannedNode, ownerId: UserId, image: Image | undefined, now: Date): NodeRecord {
  const { old, notes } = node
  const at = now.toISOString()
  const createdAt = old.createdAt ?? old.updatedAt ?? at
  const from = `Came over from an older SandLabX, where it was ${JSON.stringify(old.name)}.`
  return nodeRecordSchema.parse({
    id: nodeIdSchema.parse(node.id),
    name: node.name,
    ownerId,
    imageId: imageIdSchema.parse(node.imageId),
    base: image?.fingerprint ?? UNKNOWN_BASE,
    backing: node.disk !== null && node.disk.baseFile === null ? { kind: 'none' } : { kind: 'image' },
    cpus: within(old.cpus ?? DEFAULT_CPUS, 1, 64),
    memoryMib: within(old.memoryMib ?? DEFAULT_MEMORY_MIB, 64, 1_048_576),
    diskBytes: wholeSectors(node.virtualSizeBytes),
    overlayFile: overlayFileName(node.id),
    mac: macOf(node.id),
    internet: false,
    guest: { user: 'student', passwordHash: null, sshKeys: [] },
    rootDrive: DEFAULT_SETTINGS,
    devices: devicesOf(old.osType),
    desired: 'stopped',
    lastExit: null,
    generation: 0,
    createdAt,
    updatedAt: at,
    events: [{ at, kind: 'created', text: [from, ...notes].join(' ').slice(0, 2000), actorLogin: null }],
  })
}

/** All had an IDE disk and an e1000 card, but routers, whose disk was on virtio. */
function devicesOf(osType: string | null): { disk: 'ide' | 'virtio'; card: 'e1000' | 'virtio' } {
  return osType?.trim().toLowerCase() === 'router' ? { disk: 'virtio', card: 'e1000' } : { disk: 'ide', card: 'e1000' }
}

export function aboutOldImage({ id, from }: PlannedImage, now: Date): ImageAbout {
  return {
    id,
    title: `${from.file.replace(/\.(qcow2|img)$/, '')} (of an older SandLabX)`,
    description: `Came over with the nodes that stand on it. It was ${from.file} there.`,
    origin: 'imported',
    version: now.toISOString().slice(0, 10),
    sourceSha256: from.sha256,
    firmware: 'bios',
    cloudInit: false,
    loginNotes: 'As it was in the older SandLabX: with the accounts that were made in it.',
    minimumMemoryMib: 256,
  }
}

function within(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, Math.round(value)))
}
