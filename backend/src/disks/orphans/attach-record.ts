import { randomUUID } from 'node:crypto'
import {
  DEFAULT_SETTINGS,
  DEFAULT_DRIVE_BYTES,
  driveLimitsSchema,
  type DriveRecord,
  type DriveSettings,
} from '../../domain/drive.js'
import { SandlabError } from '../../domain/error.js'
import { nodeIdSchema, type NodeId, type UserId } from '../../domain/ids.js'
import type { Image } from '../../domain/image.js'
import type { Backing } from '../../domain/layer.js'
import { driveFileName, overlayFile, overlayFileName } from '../../domain/layout.js'
import type { ConfigDisk, NodeConfig } from '../../domain/node-config.js'
import { nodeNameSchema, type NodeRecord } from '../../domain/node.js'
import { macOf } from '../../hosts/machine.js'
import type { Actor, NodesContext } from '../../nodes/context.js'
import { guestUserFor, refuseOverQuota } from '../../nodes/new-record.js'
import { badConfig } from './config-yaml.js'
import { exists } from '../../system/exists.js'

/** What an attached node is made from: a record that was kept, a config, or both; then the config's words count. */
export interface Origin {
  former: NodeRecord | null
  config: NodeConfig | null
  name: string | undefined
  ownerId: UserId
  image: Image
  backing: Backing
  diskBytes: number
  /** Of the file, when it has the name of a node's disk; null for another name, and for a disk that is made. */
  fileId: NodeId | null
  /** The former node itself, with its id and MAC address; otherwise a new one that is like it. */
  sameNode: boolean
  rights: { internet: boolean }
  actor: Actor
  at: string
  /** For its history. */
  text: string
}

/** The node's record, and what is not as it was. Throws `name_taken`, `bad_node_config`, `bad_request`, `quota_reached`. */
export async function recordFrom(
  context: NodesContext,
  origin: Origin,
): Promise<{ record: NodeRecord; warnings: string[] }> {
  const { former, config, ownerId, image, backing, diskBytes, actor, at } = origin
  const warnings: string[] = [...(config?.warnings ?? [])]
  const name = nameOf(context, origin)
  refuseOverQuota(context, ownerId, 1)
  const id = await idOf(context, origin)
  const wantsInternet = config?.internet ?? former?.internet ?? false
  if (wantsInternet && !origin.rights.internet) {
    warnings.push('It is attached without internet: you may not give it that.')
  }
  const user =
    config?.guestUser ?? former?.guest.user ?? guestUserFor(context.owners.get(ownerId)?.login ?? actor.login)
  const record: NodeRecord = {
    id,
    name,
    ownerId,
    imageId: image.id,
    base: image.fingerprint,
    backing,
    cpus: config?.cpus ?? former?.cpus ?? 1,
    memoryMib: config?.memoryMib ?? former?.memoryMib ?? image.minimumMemoryMib,
    diskBytes,
    overlayFile: overlayFileName(id),
    mac: freeMac(context, id, origin),
    internet: wantsInternet && origin.rights.internet,
    guest: {
      user,
      passwordHash: former?.guest.passwordHash ?? null,
      sshKeys: config?.sshKeys ?? former?.guest.sshKeys ?? [],
    },
    rootDrive: config?.root ? settingsOf(config.root, former?.rootDrive) : (former?.rootDrive ?? DEFAULT_SETTINGS),
    drives: [],
    drivesChangedAt: null,
    snapshotSchedule: config?.snapshotSchedule ?? former?.snapshotSchedule ?? null,
    // Fits it as long as nothing else has changed; the resume looks.
    suspended: origin.sameNode && id === former?.id ? former.suspended : null,
    onStop: former?.onStop ?? null,
    recording: former?.recording ?? null,
    keyboard: former?.keyboard ?? null,
    agent: config?.agent ?? former?.agent ?? image.guestAgent ?? false,
    ...(former?.devices ? { devices: former.devices } : {}),
    desired: 'stopped',
    lastExit: origin.sameNode ? (former?.lastExit ?? null) : null,
    generation: origin.sameNode ? (former?.generation ?? 0) : 0,
    createdAt: origin.sameNode ? (former?.createdAt ?? at) : at,
    updatedAt: at,
    events: [
      { at, kind: 'created' as const, text: origin.text, actorLogin: actor.login },
      ...(origin.sameNode ? (former?.events ?? []) : []),
    ].slice(0, 100),
  }
  return { record, warnings }
}

/** A further drive of a config: one that lies there, or one that is to be made. */
export function driveFrom(disk: ConfigDisk, at: string, file: string | null): DriveRecord {
  const uuid = randomUUID()
  const name = file ?? driveFileName(uuid)
  return {
    ...settingsOf(disk),
    id: disk.name,
    source: /^drive_[0-9a-f-]{36}\.qcow2$/.test(name) ? 'automatic' : 'file',
    file: name,
    format: disk.type,
    sizeBytes: disk.sizeBytes ?? DEFAULT_DRIVE_BYTES,
    backing: { kind: 'none' },
    createdAt: at,
  }
}

function settingsOf(disk: ConfigDisk, before: DriveSettings = DEFAULT_SETTINGS): DriveSettings {
  return {
    readOnly: disk.readonly ?? before.readOnly,
    cache: disk.cache ?? before.cache,
    io: disk.io ?? before.io,
    limits: disk.limits ? driveLimitsSchema.parse(disk.limits) : before.limits,
    changedAt: before.changedAt,
  }
}

function nameOf({ store }: NodesContext, { name, config, former, ownerId }: Origin): string {
  const wanted = name ?? config?.name ?? former?.name
  if (wanted === undefined) {
    throw badConfig(['nothing tells a name for the node: give one, or `name:` in the config.'])
  }
  const parsed = nodeNameSchema.safeParse(wanted)
  if (!parsed.success) {
    const why = parsed.error.issues[0]?.message ?? ''
    throw new SandlabError('bad_request', `"${wanted.slice(0, 80)}" is no name for a node: ${why}.`, {
      hint: 'Give another name.',
    })
  }
  if (!store.data.nodes.some((node) => node.name === wanted && node.ownerId === ownerId)) return parsed.data
  throw new SandlabError('name_taken', `A node named ${wanted} already exists.`, {
    hint: `Attach it under another name, as ${wanted.slice(0, 58)}-back, or delete or rename that node first.`,
    details: { name: wanted },
  })
}

/** The former id comes back when it is free: to its guest it is the same machine. */
async function idOf({ store, layout }: NodesContext, { former, config, sameNode, fileId }: Origin): Promise<NodeId> {
  const fresh = nodeIdSchema.parse(randomUUID())
  const wanted = sameNode ? (former?.id ?? config?.id ?? fileId) : null
  if (wanted === null || store.data.nodes.some(({ id }) => id === wanted)) return fresh
  // Another disk may have that name.
  return fileId === wanted || !(await exists(overlayFile(layout, wanted))) ? wanted : fresh
}

function freeMac({ store }: NodesContext, id: NodeId, { former, config, sameNode }: Origin): string {
  const wanted = sameNode ? (config?.mac ?? former?.mac) : undefined
  return wanted !== undefined && !store.data.nodes.some(({ mac }) => mac === wanted) ? wanted : macOf(id)
}
