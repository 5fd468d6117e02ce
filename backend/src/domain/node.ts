import { z } from 'zod'
import { DEFAULT_SETTINGS, driveRecordSchema, driveSettingsSchema } from './drive.js'
import { nodeEventSchema } from './event.js'
import { imageIdSchema, nodeIdSchema, userIdSchema } from './ids.js'
import { fingerprintSchema } from './image.js'
import { KEYBOARD_NAMES } from './keyboard.js'
import { backingSchema } from './layer.js'
import { snapshotScheduleSchema } from './snapshot.js'

/** What a node is doing, as observed. `unknown`: the engine's host is silent; nobody acts on it. */
export const NODE_STATUSES = [
  'creating',
  'stopped',
  'starting',
  'running',
  'paused',
  'stopping',
  'suspending',
  'suspended',
  'crashed',
  'broken',
  'unknown',
] as const
export const nodeStatusSchema = z.enum(NODE_STATUSES)
export type NodeStatus = z.infer<typeof nodeStatusSchema>

export const NODE_ACTIONS = [
  'start',
  'stop',
  'restart',
  'suspend',
  'resume',
  'discardMemory',
  'delete',
  'changeResources',
  'rename',
  'console',
  'clone',
  'snapshot',
  'reset',
  'changeDrives',
  'growDrive',
] as const
export type NodeAction = (typeof NODE_ACTIONS)[number]

/** Action → the statuses in which it is allowed. The server refuses by it, the page disables buttons by it. */
const ALLOWED: Record<NodeAction, readonly NodeStatus[]> = {
  start: ['stopped', 'crashed', 'broken', 'paused', 'suspended'], // broken: looked at again, it may be mended; paused: goes on
  stop: ['starting', 'running', 'paused', 'stopping'],
  restart: ['running', 'paused'],
  suspend: ['running'],
  resume: ['suspended', 'paused'],
  discardMemory: ['suspended'],
  delete: ['stopped', 'crashed', 'broken', 'suspended'], // its memory goes where its disk goes
  changeResources: ['stopped', 'crashed', 'broken'],
  rename: ['stopped', 'starting', 'running', 'paused', 'stopping', 'suspended', 'crashed', 'broken'],
  console: ['starting', 'running', 'paused', 'stopping'],
  clone: ['stopped', 'running', 'paused', 'crashed'],
  snapshot: ['stopped', 'running', 'paused', 'crashed'],
  reset: ['stopped', 'running', 'paused', 'crashed', 'broken'], // a running one is stopped first, and started again
  changeDrives: ['creating', 'stopped', 'starting', 'running', 'paused', 'stopping', 'crashed', 'broken', 'unknown'],
  growDrive: ['stopped', 'crashed'],
}

const STATUS_REASONS: Record<NodeStatus, string> = {
  creating: 'it is being created',
  stopped: 'it is stopped',
  starting: 'it is starting',
  running: 'it is running',
  paused: 'it is paused',
  stopping: 'it is stopping',
  suspending: 'its memory is being saved',
  suspended: 'it is suspended',
  crashed: 'it has crashed',
  broken: 'its storage is broken',
  unknown: 'its host does not answer',
}

const ACTION_WORDS: Record<NodeAction, string> = {
  start: 'be started',
  stop: 'be stopped',
  restart: 'be restarted',
  suspend: 'be suspended',
  resume: 'go on',
  discardMemory: 'have its saved memory discarded',
  delete: 'be deleted',
  changeResources: 'change its CPUs, memory or guest agent',
  rename: 'be renamed',
  console: 'show a console',
  clone: 'be cloned',
  snapshot: 'have a snapshot taken',
  reset: 'be reset',
  changeDrives: 'change its drives',
  growDrive: 'have a disk grown',
}

/** Why a suspended node refuses: its memory fits the very machine and the very disks that it was saved with. */
const MEMORY_NEEDS: Partial<Record<NodeAction, string>> = {
  stop: 'No guest runs. Start it and stop it then, or discard its memory',
  restart: 'No guest runs. Start it first, or discard its memory',
  changeResources:
    'Its memory was saved with these CPUs and this size. Start it and stop it then, or discard its memory',
  clone: 'A copy of the disk alone would be as after a power cut. Start it first, or discard its memory',
  snapshot: 'The disk alone would be as after a power cut. Start it first, or discard its memory',
  reset: 'Its memory fits the disk as it is now. Start it first, or discard its memory',
  changeDrives: 'Its memory knows the drives that it was saved with. Start it first, or discard its memory',
  growDrive: 'Its memory knows the size that it was saved with. Start it and stop it then, or discard its memory',
  console: 'Start it, and it goes on where it was',
}

/** Undefined when the action is allowed now, else the reason as a sentence for people. */
export function nodeRefuses(action: NodeAction, status: NodeStatus): string | undefined {
  if (ALLOWED[action].includes(status)) return undefined
  return `The node can't ${ACTION_WORDS[action]} while ${STATUS_REASONS[status]}.${adviceOn(action, status)}`
}

function adviceOn(action: NodeAction, status: NodeStatus): string {
  if (status === 'running' && ['delete', 'changeResources', 'growDrive'].includes(action)) return ' Stop it first.'
  const why = status === 'suspended' ? MEMORY_NEEDS[action] : undefined
  return why === undefined ? '' : ` ${why}.`
}

export function nodeAllows(action: NodeAction, status: NodeStatus): boolean {
  return nodeRefuses(action, status) === undefined
}

/** RFC 1123 host name label: it becomes the guest's host name. */
export const nodeNameSchema = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    'lower-case letters, digits and dashes, starting and ending with a letter or digit; at most 63',
  )

/** The guest's own account, made on first boot. Unrelated to SandLabX accounts. */
export const guestUserSchema = z
  .string()
  .regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'lower-case letters, digits, dashes, underscores; at most 32')
export const guestPasswordSchema = z
  .string()
  .min(1)
  .max(128)
  .regex(/^[\x20-\x7e]+$/, 'printable ASCII characters')
export const sshKeySchema = z
  .string()
  .max(8192)
  .regex(
    /^(ssh-(rsa|ed25519)|ecdsa-sha2-nistp(256|384|521)|sk-[a-z0-9@.-]+) [A-Za-z0-9+/=]+( [^\n\r\0]*)?$/,
    'one OpenSSH public key',
  )

/**
 * By what its guest reaches its root disk and its network cards. A guest that was installed on an older SandLabX has an
 * IDE disk and an e1000 card, and may know its disk as `/dev/sda`.
 */
export const nodeDevicesSchema = z.strictObject({ disk: z.enum(['virtio', 'ide']), card: z.enum(['virtio', 'e1000']) })
export type NodeDevices = z.infer<typeof nodeDevicesSchema>

const cpusSchema = z.int().min(1).max(64)
const memoryMibSchema = z.int().min(64).max(1_048_576)
const diskBytesSchema = z
  .int()
  .min(1024 * 1024)
  .max(64 * 1024 ** 4)

/** Why the last run ended, with the last serial lines; null before the first end. */
export const lastExitSchema = z.object({
  at: z.iso.datetime(),
  /** `guest`: it powered itself off; `asked`: stop; `forced`: stop, the harder way; `crashed`: nobody asked. */
  how: z.enum(['guest', 'asked', 'forced', 'crashed']),
  reason: z.string().max(2000),
  serialTail: z.array(z.string()).max(40),
})

/** Begins the reason of `lastExit` when a node booted because its saved memory was of no use. */
export const MEMORY_KEPT_ASIDE =
  'Its saved memory could not be used, and is kept in the trash; the node boots from its disk.'

export const ON_STOP_CHOICES = ['suspend', 'shutdown'] as const

/** A guest's memory as it was when the node was suspended; valid once, and only with the disks of that moment. */
export const suspendedSchema = z.object({
  /** File name in `overlays/`. */
  memoryFile: z.string(),
  /** The file's length. */
  sizeBytes: z.int().nonnegative(),
  at: z.iso.datetime(),
  /** `stop`: SandLabX was told to end, and the node goes on at its next start; `asked`: a person did. */
  why: z.enum(['stop', 'asked']),
  /** Of each disk that the guest may write to, right after: another length or time means that it was written to since. */
  disks: z.array(z.object({ driveId: z.string(), sizeBytes: z.int().nonnegative(), mtimeMs: z.number() })),
})
export type Suspended = z.infer<typeof suspendedSchema>

/** As kept: one that this QEMU does not know (another SandLabX wrote it) is not used. What may be set: keyboard.ts. */
export const keyboardSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{1,39}$/, 'a layout such as de-ch')

/** A node as it is kept in the state file and in the sidecar: the intention, not what is observed. */
export const nodeRecordSchema = z.object({
  id: nodeIdSchema,
  name: nodeNameSchema,
  ownerId: userIdSchema,
  imageId: imageIdSchema,
  /** The base image's fingerprint when the overlay was made. */
  base: fingerprintSchema,
  /** What its disk stands on. Sidecars from before there were layers have none. */
  backing: backingSchema.default({ kind: 'image' }),
  /** Before start only. */
  cpus: cpusSchema,
  /** MiB; before start only. */
  memoryMib: memoryMibSchema,
  /** Virtual size of the root disk in bytes, at least the image's. */
  diskBytes: diskBytesSchema,
  /** File name in `overlays/`. */
  overlayFile: z.string(),
  /** Derived from the id, kept because it must never change. */
  mac: z.string().regex(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/),
  /** User networking reaches the internet; else `restrict=on`. Applies at the next start. */
  internet: z.boolean(),
  guest: z.object({
    user: guestUserSchema,
    /** crypt(3) SHA-512 (`$6$`); the clear text is never kept. Null: sign-in by password is left as the image has it. */
    passwordHash: z.string().nullable(),
    sshKeys: z.array(sshKeySchema).max(20),
  }),
  /** Of the root disk. */
  rootDrive: driveSettingsSchema.default(DEFAULT_SETTINGS),
  /** Further drives, in the order in which the guest sees them. */
  drives: z.array(driveRecordSchema).max(16).default([]),
  /** A drive was added, removed or changed; null: never. */
  drivesChangedAt: z.iso.datetime().nullable().default(null),
  /** Null: as the lab's settings say. */
  snapshotSchedule: snapshotScheduleSchema.nullable().default(null),
  /** Null: it is not suspended. */
  suspended: suspendedSchema.nullable().default(null),
  /** What happens to it when SandLabX is told to end; null: what happens to all. Any time. */
  onStop: z.enum(ON_STOP_CHOICES).nullable().default(null),
  /** Its consoles are recorded; null: as the lab's settings say. Any time. */
  recording: z.boolean().nullable().default(null),
  /** The layout of the keyboard that its guest expects; null: the usual one. Any time. */
  keyboard: keyboardSchema.nullable().default(null),
  /** Its machine has a port for qemu-guest-agent in the guest. Before start only. */
  agent: z.boolean().default(false),
  /** Absent: virtio. Never changes: its guest was installed on these. */
  devices: nodeDevicesSchema.optional(),
  desired: z.enum(['running', 'stopped']),
  lastExit: lastExitSchema.nullable(),
  /** Grows with each start; part of what a running process must match to be adopted. */
  generation: z.int().nonnegative(),
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  events: z.array(nodeEventSchema).max(100),
})
export type NodeRecord = z.infer<typeof nodeRecordSchema>
export type LastExit = z.infer<typeof lastExitSchema>

/** A node as the API answers it. */
export const nodeViewSchema = z
  .object({
    id: nodeIdSchema,
    name: nodeNameSchema,
    status: nodeStatusSchema,
    /** Why it is broken, crashed, paused or unknown; null otherwise. */
    statusReason: z.string().nullable(),
    desired: z.enum(['running', 'stopped']),
    image: imageIdSchema,
    imageTitle: z.string(),
    cpus: cpusSchema,
    memoryMib: memoryMibSchema,
    diskBytes: diskBytesSchema,
    /** Bytes that the overlay holds on the disk now; null when it can't be read. */
    diskUsedBytes: z.number().nullable(),
    /** `/overlays/node_<uuid>.qcow2`: the path in the container. */
    overlayPath: z.string(),
    ownerId: userIdSchema,
    ownerLogin: z.string(),
    mac: z.string(),
    internet: z.boolean(),
    guestUser: guestUserSchema,
    loginNotes: z.string(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
    /** When this run began; null when not running. */
    startedAt: z.iso.datetime().nullable(),
    /** `kvm` or `tcg`; null when not running. */
    accelerator: z.enum(['kvm', 'tcg']).nullable(),
    lastExit: lastExitSchema.nullable(),
    /** Automatic snapshots; null: as the lab's settings say. */
    snapshotSchedule: snapshotScheduleSchema.nullable(),
    /** Its memory is saved: a start goes on from it. Null: it is not suspended. */
    suspended: suspendedSchema.pick({ at: true, sizeBytes: true, why: true }).nullable(),
    /** What happens to it when SandLabX is told to end; null: what happens to all. */
    onStop: z.enum(ON_STOP_CHOICES).nullable(),
    /** Its consoles are recorded; null: as the lab's settings say. */
    recording: z.boolean().nullable(),
    /** Null: the usual one. */
    keyboard: keyboardSchema.nullable(),
    /** Its machine has a port for the guest's agent, by which its file systems are frozen and its clock is set. */
    agent: z.boolean(),
    /** It runs, and its drives were changed since it was started: they apply at its next start. */
    drivesPending: z.boolean(),
    /** Why there is no SSH console of it, in a sentence for people; null: there is one while it runs. */
    sshRefusal: z.string().nullable().optional(),
    /** Actions that are allowed in this status; for each other one its reason. */
    actions: z.record(z.enum(NODE_ACTIONS), z.string().nullable()),
  })
  .meta({ id: 'Node' })
export type NodeView = z.infer<typeof nodeViewSchema>

export const createNodeSchema = z
  .strictObject({
    name: nodeNameSchema,
    image: imageIdSchema,
    cpus: cpusSchema.default(1),
    memoryMib: memoryMibSchema.optional(),
    diskBytes: diskBytesSchema.optional(),
    /** Absent: the one who asks. */
    ownerId: userIdSchema.optional(),
    internet: z.boolean().default(false),
    /** A port for the guest's agent. Absent: as the image says. */
    agent: z.boolean().optional(),
    guestUser: guestUserSchema.optional(),
    guestPassword: guestPasswordSchema.optional(),
    sshKeys: z.array(sshKeySchema).max(20).default([]),
    /** Start it as soon as it is made. */
    start: z.boolean().default(false),
  })
  .meta({ id: 'CreateNode' })
export type CreateNode = z.infer<typeof createNodeSchema>

/** A person's name for each of several nodes: `web-{n}` with `{n}` counting from 1, or `{nn}` with a leading zero. */
export const namePatternSchema = z
  .string()
  .regex(/^[a-z0-9{][a-z0-9{}-]{0,61}[a-z0-9}]?$/, 'a node name in which {n} or {nn} stands for the number')

/** One of the nodes of a batch; what is absent is as in `template`. */
export const batchEntrySchema = z.strictObject({
  name: nodeNameSchema,
  ownerId: userIdSchema.optional(),
  guestUser: guestUserSchema.optional(),
  guestPassword: guestPasswordSchema.optional(),
})

/** N nodes with one call: either `count` with a pattern as name, or a list of `nodes`. */
export const batchCreateSchema = z
  .strictObject({
    template: createNodeSchema.omit({ name: true }),
    count: z.int().min(1).max(500).optional(),
    name: namePatternSchema.optional(),
    nodes: z.array(batchEntrySchema).min(1).max(500).optional(),
    /** Makes those that can be made. Otherwise all or none. */
    keepGoing: z.boolean().default(false),
  })
  .meta({ id: 'BatchCreate' })
export type BatchCreate = z.infer<typeof batchCreateSchema>

/** A password that was generated for a guest, told once to the one who made the node. */
export const guestPasswordEntrySchema = z
  .object({
    name: nodeNameSchema,
    id: nodeIdSchema,
    /** The owner's. */
    login: z.string(),
    guestUser: guestUserSchema,
    guestPassword: z.string(),
  })
  .meta({ id: 'GuestPassword' })
export type GuestPassword = Record<keyof z.infer<typeof guestPasswordEntrySchema>, string>

export const cloneNodeSchema = z
  .strictObject({
    /** With `count` above 1 a pattern. */
    name: namePatternSchema,
    count: z.int().min(1).max(500).default(1),
    /** A disk of its own, which needs no other file. Otherwise linked: made at once, over what it shares. */
    full: z.boolean().default(false),
    /** A node of that name moves to the trash and the clone takes its place. Both are the same; scripts use the first. */
    idempotent: z.boolean().default(false),
    force: z.boolean().default(false),
    /** From this snapshot of the source instead of its disk as it is. */
    snapshot: z.string().max(63).optional(),
    /** Keeps a named snapshot of the source as it was before. */
    snapshotFirst: z.boolean().default(false),
    /** Absent: the source's owner. */
    ownerId: userIdSchema.optional(),
    start: z.boolean().default(false),
    /** To another SandLabX: its address and an API token there. */
    to: z.strictObject({ url: z.url({ protocol: /^https?$/ }), token: z.string().min(1).max(200) }).optional(),
  })
  .meta({ id: 'CloneNode' })
export type CloneNode = z.infer<typeof cloneNodeSchema>

export const updateNodeSchema = z
  .strictObject({
    name: nodeNameSchema.optional(),
    cpus: cpusSchema.optional(),
    memoryMib: memoryMibSchema.optional(),
    internet: z.boolean().optional(),
    agent: z.boolean().optional(),
    /** Null is a value: what happens to all nodes, as the lab's settings say, the usual one. */
    onStop: z.enum(ON_STOP_CHOICES).nullable().optional(),
    recording: z.boolean().nullable().optional(),
    keyboard: z.enum(KEYBOARD_NAMES).nullable().optional(),
  })
  .meta({ id: 'UpdateNode' })
export type UpdateNode = z.infer<typeof updateNodeSchema>

/** `resumeAtStart`: when SandLabX is started again, the node goes on by itself. */
export const suspendNodeSchema = z
  .strictObject({ resumeAtStart: z.boolean().default(false) })
  .meta({ id: 'SuspendNode' })

/** The saved memory moves to the trash. `start`: the node boots from its disk, as after a power cut. */
export const discardMemorySchema = z.strictObject({ start: z.boolean().default(false) }).meta({ id: 'DiscardMemory' })

/** `now`: no guest shutdown, QEMU quits at once. */
export const stopNodeSchema = z.strictObject({ now: z.boolean().default(false) }).meta({ id: 'StopNode' })
