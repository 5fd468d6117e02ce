import { createHash } from 'node:crypto'
import { basename } from 'node:path'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import type { Role } from '../domain/user.js'

/** A node as an older SandLabX kept it; what meant only that machine (ports, pids, addresses, its status) is left out. */
export interface OldNode {
  /** As it was written. */
  oldId: string
  /** A UUID: the same one, or one that is derived from it. */
  id: string
  name: string
  osType: string | null
  /** File names only: folders of that machine mean nothing here. Null: as its id says. */
  diskFile: string | null
  /** Of a custom image. */
  imageFile: string | null
  memoryMib: number | null
  cpus: number | null
  /** Id of its owner's old account. */
  userId: string | null
  createdAt: string | null
  updatedAt: string | null
  startedAt: string | null
  /** The file that it was read from. */
  source: string
}

export interface OldUser {
  oldId: string
  /** A UUID: the same one, or one that is derived from it. */
  id: string
  email: string
  role: Role
  disabled: boolean
  source: string
}

const text = z.union([z.string(), z.number()]).transform(String)
const someText = text.nullish().catch(null)
const someNumber = z.coerce.number().finite().nullish().catch(null)

/** Everything but the id may be missing or nonsense: what an old installation wrote was never checked. */
const stateNodeSchema = z.object({
  id: text,
  name: someText,
  osType: someText,
  overlayPath: someText,
  customImageName: someText,
  createdAt: someText,
  updatedAt: someText,
  startedAt: someText,
  resources: z.object({ ram: someNumber, cpus: someNumber }).partial().nullish().catch(null),
})
const stateFileSchema = z.object({ lastUpdated: someText, nodes: z.array(z.unknown()) })

/** Whether a JSON value is the state of the present SandLabX. */
export function isOurState(value: unknown): boolean {
  return z.object({ schema: z.int(), sha256: z.string(), data: z.object({}) }).safeParse(value).success
}

/**
 * The nodes of an old `nodes-state.json`, and the records that no one can make sense of. `ours`: it is of the present
 * SandLabX. Throws `state_unreadable` with the next step when it is empty, cut off or something else.
 */
export function parseOldState(
  content: string,
  source: string,
): { ours: true } | { ours: false; nodes: OldNode[]; skipped: string[] } {
  const value = parseJson(content, source)
  if (isOurState(value)) return { ours: true }
  const file = stateFileSchema.safeParse(value)
  if (!file.success) {
    throw unreadable(source, 'it is JSON, but has no list of nodes')
  }
  const nodes: OldNode[] = []
  const skipped: string[] = []
  for (const [index, entry] of file.data.nodes.entries()) {
    const read = stateNodeSchema.safeParse(entry)
    if (read.success && read.data.id.trim() !== '') nodes.push(fromState(read.data, source))
    else skipped.push(`record ${index + 1} of ${source} has no id`)
  }
  return { ours: false, nodes, skipped }
}

function fromState(record: z.infer<typeof stateNodeSchema>, source: string): OldNode {
  const { id, name, osType, overlayPath, customImageName, resources } = record
  return {
    oldId: id,
    id: asUuid('node', id),
    name: name ?? '',
    osType: osType ?? null,
    diskFile: fileName(overlayPath),
    imageFile: fileName(customImageName),
    memoryMib: resources?.ram ?? null,
    cpus: resources?.cpus ?? null,
    userId: null,
    createdAt: asTime(record.createdAt),
    updatedAt: asTime(record.updatedAt),
    startedAt: asTime(record.startedAt),
    source,
  }
}

/** A row of the later `sandlabx_nodes`; undefined when it has no id. */
export function nodeFromRow(row: Record<string, string | null>, source: string): OldNode | undefined {
  const id = row['id']?.trim()
  if (!id) return undefined
  const number = (value: string | null | undefined) => (value ? someNumber.parse(value) : null) ?? null
  return {
    oldId: id,
    id: asUuid('node', id),
    name: row['name'] ?? '',
    osType: row['os_type'] ?? null,
    diskFile: fileName(row['overlay_path']),
    imageFile: imageInMetadata(row['image_metadata']),
    memoryMib: number(row['ram_mb']),
    cpus: number(row['cpu_cores']),
    userId: row['user_id'] ?? null,
    createdAt: asTime(row['created_at']),
    updatedAt: asTime(row['updated_at']),
    startedAt: asTime(row['started_at']),
    source,
  }
}

/** A row of the later `sandlabx_users`; undefined without an id or an e-mail address. */
export function userFromRow(row: Record<string, string | null>, source: string): OldUser | undefined {
  const id = row['id']?.trim()
  const email = row['email']?.trim()
  if (!id || !email) return undefined
  const status = row['status'] ?? row['account_status'] ?? ''
  return {
    oldId: id,
    id: asUuid('user', id),
    email,
    role: roleOf(row['role'] ?? ''),
    disabled: row['is_active'] === 'f' || /disabled|suspended|inactive/i.test(status),
    source,
  }
}

function roleOf(role: string): Role {
  if (/^(super)?admin(istrator)?$/i.test(role.trim())) return 'administrator'
  return /^(instructor|teacher)$/i.test(role.trim()) ? 'instructor' : 'student'
}

/** Some key of it names the file; which one has changed over time. */
function imageInMetadata(json: string | null | undefined): string | null {
  if (!json) return null
  try {
    const value: unknown = JSON.parse(json)
    const values: unknown[] = typeof value === 'object' && value !== null ? Object.values(value) : []
    return values.map((one) => (typeof one === 'string' ? fileName(one) : null)).find((name) => name !== null) ?? null
  } catch {
    return null // a hint that can't be read is no hint
  }
}

/** The last part of a path, when that can be the name of a disk. */
export function fileName(path: string | null | undefined): string | null {
  if (!path) return null
  const name = basename(path)
  return /^[A-Za-z0-9][A-Za-z0-9._ -]{0,200}\.(qcow2|img)$/.test(name) ? name : null
}

/** The id itself when it is a UUID; else the same UUID for the same id, always. */
export function asUuid(what: string, id: string): string {
  const lower = id.trim().toLowerCase()
  if (z.uuid().safeParse(lower).success) return lower
  const digest = createHash('sha256').update(`sandlabx-migrated ${what} ${id}`).digest()
  digest.writeUInt8((digest.readUInt8(6) & 0x0f) | 0x50, 6) // version 5, a name by its hash (RFC 9562)
  digest.writeUInt8((digest.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = digest.subarray(0, 16).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** ISO, or PostgreSQL's `2026-07-18 10:11:12.5+00`; null when it is no time. */
function asTime(value: string | null | undefined): string | null {
  if (!value) return null
  const iso = value
    .trim()
    .replace(' ', 'T')
    .replace(/([+-]\d\d)$/, '$1:00')
  const time = new Date(/(Z|[+-]\d\d:\d\d)$/.test(iso) ? iso : `${iso}Z`)
  return Number.isNaN(time.getTime()) ? null : time.toISOString()
}

function parseJson(content: string, source: string): unknown {
  if (content.trim() === '') throw unreadable(source, 'it is empty')
  try {
    return JSON.parse(content)
  } catch (error) {
    throw unreadable(source, 'it is cut off, or not JSON', error)
  }
}

export function unreadable(source: string, reason: string, cause?: unknown): SandlabError {
  return new SandlabError('state_unreadable', `The old records in ${source} can't be read: ${reason}.`, {
    hint: 'Nothing was touched. Put a good copy in its place (an old backup, or the same file of another place), or move it away, and run this again: disks are found without it, too, and listed.',
    cause,
  })
}
