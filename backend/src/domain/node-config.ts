import { z } from 'zod'
import { driveIdSchema, driveLimitsSchema, driveRecordSchema, driveSettingsSchema, ROOT_DRIVE } from './drive.js'
import { imageIdSchema, nodeIdSchema } from './ids.js'
import { guestUserSchema, nodeNameSchema, nodeRecordSchema, sshKeySchema } from './node.js'
import { snapshotScheduleSchema } from './snapshot.js'
import { MIB, parseBytes } from './units.js'

/** The only program that a config may name; where it lies is ours to know. */
export const KNOWN_BINARY = 'qemu-system-x86_64'

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, 'a sha256 in lower-case hex')

/** A disk of a node in YAML; the first is the one that it boots from. */
const configDiskSchema = z.strictObject({
  name: z.string().min(1).max(64),
  type: z.enum(['qcow2', 'raw']).default('qcow2'),
  /** Absent: it is made. */
  file: z.string().min(1).max(4096).optional(),
  interface: z.string().max(32).default('virtio'),
  /** Virtual size: bytes, or `10G`. */
  size: z.union([z.int().positive(), z.string().max(32)]).optional(),
  readonly: z.boolean().optional(),
  cache: driveSettingsSchema.shape.cache.unwrap().optional(),
  io: driveSettingsSchema.shape.io.unwrap().optional(),
  limits: driveLimitsSchema.partial().optional(),
})

const configNetworkSchema = z.strictObject({
  type: z.literal('user', 'only `user` networks are known'),
  hostfwd: z.union([z.string().max(1000), z.array(z.string().max(1000)).max(64)]).optional(),
  mac: nodeRecordSchema.shape.mac.optional(),
  internet: z.boolean().optional(),
})

const argumentSchema = z.union([z.string().max(64), z.record(z.string().max(64), z.unknown())])

/** A node in YAML: `name` to `network` as in QEMU front ends, the rest is what only SandLabX knows. No secrets. */
const configSchema = z.strictObject({
  name: nodeNameSchema.optional(),
  binary: z.string().max(4096).optional(),
  arguments: z.array(argumentSchema).max(32).default([]),
  storage: z.array(configDiskSchema).max(17).default([]),
  network: z.array(configNetworkSchema).max(8).default([]),
  id: nodeIdSchema.optional(),
  image: imageIdSchema.optional(),
  imageSha256: sha256Schema.optional(),
  guest: z
    .strictObject({ user: guestUserSchema.optional(), sshKeys: z.array(sshKeySchema).max(20).optional() })
    .optional(),
  agent: z.boolean().optional(),
  snapshotSchedule: snapshotScheduleSchema.nullable().optional(),
})

/** A disk as a config describes it. */
export type ConfigDisk = Omit<z.infer<typeof configDiskSchema>, 'size'> & { sizeBytes: number | null }

/** What a node's YAML says; null where it says nothing. */
export interface NodeConfig {
  name: string | null
  id: z.infer<typeof nodeIdSchema> | null
  image: z.infer<typeof imageIdSchema> | null
  imageSha256: string | null
  cpus: number | null
  memoryMib: number | null
  root: ConfigDisk | null
  drives: ConfigDisk[]
  mac: string | null
  internet: boolean | null
  agent: boolean | null
  guestUser: string | null
  sshKeys: string[] | null
  snapshotSchedule: z.infer<typeof snapshotScheduleSchema> | null
  /** What is understood and not done, in sentences. */
  warnings: string[]
}

export type NodeConfigRead = { config: NodeConfig; faults?: never } | { config?: never; faults: string[] }

/** Judges what a YAML file held: all that is wrong with it at once, or what it says. Pure. */
export function readNodeConfig(value: unknown): NodeConfigRead {
  const parsed = configSchema.safeParse(value ?? {})
  const faults = parsed.success ? [] : issuesOf(parsed.error)
  const given = argumentsOf(value)
  faults.push(...given.faults)
  if (!parsed.success) return { faults }
  const { data } = parsed
  const disks = data.storage.map((disk, index) => diskOf(disk, index, faults))
  if (data.network.length > 1) faults.push('network: a node has one network card.')
  if (faults.length > 0) return { faults }
  const [root = null, ...drives] = disks
  const [network] = data.network
  return {
    config: {
      name: data.name ?? null,
      id: data.id ?? null,
      image: data.image ?? null,
      imageSha256: data.imageSha256 ?? null,
      cpus: given.cpus,
      memoryMib: given.memoryMib,
      root,
      drives,
      mac: network?.mac ?? null,
      internet: network?.internet ?? null,
      agent: data.agent ?? null,
      guestUser: data.guest?.user ?? null,
      sshKeys: data.guest?.sshKeys ?? null,
      snapshotSchedule: data.snapshotSchedule ?? null,
      warnings: [...binaryWarnings(data.binary), ...given.warnings, ...diskWarnings(disks), ...forwards(network)],
    },
  }
}

interface Arguments {
  cpus: number | null
  memoryMib: number | null
  faults: string[]
  warnings: string[]
}

/** `m`, `smp`, `enable-kvm` and `cpu` are known; every other one is named. */
function argumentsOf(value: unknown): Arguments {
  const result: Arguments = { cpus: null, memoryMib: null, faults: [], warnings: [] }
  const seen = new Set<string>()
  for (const [name, given] of pairsOf(value)) {
    if (seen.has(name)) result.faults.push(`arguments: ${name} is given twice.`)
    seen.add(name)
    if (name === 'm') {
      result.memoryMib = memoryOf(given)
      if (result.memoryMib === null) result.faults.push('arguments: m must be memory from 64M to 1T, like 512M or 4G.')
    } else if (name === 'smp') {
      result.cpus = cpusOf(given)
      if (result.cpus === null) result.faults.push('arguments: smp must be a number of CPUs from 1 to 64.')
    } else if (name === 'cpu') {
      result.warnings.push('The CPU model is chosen by SandLabX: `cpu` has no effect.')
    } else if (name !== 'enable-kvm') {
      result.faults.push(`arguments: ${JSON.stringify(name.slice(0, 64))} is not allowed; m, smp, enable-kvm, cpu are.`)
    }
  }
  return result
}

function pairsOf(value: unknown): [string, unknown][] {
  const list = typeof value === 'object' && value !== null && 'arguments' in value ? value.arguments : []
  if (!Array.isArray(list)) return []
  return list.flatMap((one: unknown): [string, unknown][] => {
    if (typeof one === 'string') return [[one, null]]
    return typeof one === 'object' && one !== null ? Object.entries(one) : []
  })
}

/** As QEMU reads it: a bare number is MiB. */
function memoryOf(given: unknown): number | null {
  const text = String(typeof given === 'number' || typeof given === 'string' ? given : '')
  const bytes = /^\d+$/.test(text) ? Number(text) * MIB : parseBytes(text)
  const parsed = nodeRecordSchema.shape.memoryMib.safeParse((bytes ?? 0) / MIB)
  return parsed.success ? parsed.data : null
}

function cpusOf(given: unknown): number | null {
  const count = typeof given === 'string' && /^\d{1,4}$/.test(given) ? Number(given) : given
  const parsed = nodeRecordSchema.shape.cpus.safeParse(count)
  return parsed.success ? parsed.data : null
}

function diskOf(disk: z.infer<typeof configDiskSchema>, index: number, faults: string[]): ConfigDisk {
  const { size, ...rest } = disk
  const where = `storage.${index}`
  const id = driveIdSchema.safeParse(disk.name)
  if (index > 0 && (!id.success || id.data === ROOT_DRIVE)) {
    faults.push(
      `${where}.name: a further drive is named by ${id.error?.issues[0]?.message ?? 'another word than root'}.`,
    )
  }
  const bytes = typeof size === 'string' ? parseBytes(size) : size
  const isFit = bytes === undefined || driveRecordSchema.shape.sizeBytes.safeParse(bytes).success
  if (!isFit || (size !== undefined && bytes === undefined)) {
    faults.push(`${where}.size: it must be from 1M to 64T, like 10G.`)
  }
  return { ...rest, sizeBytes: bytes ?? null }
}

function issuesOf(error: z.ZodError): string[] {
  return error.issues.map((issue) => {
    const where = issue.path.join('.')
    return `${where === '' ? 'the config' : where}: ${issue.message}.`.slice(0, 300)
  })
}

function binaryWarnings(binary: string | undefined): string[] {
  if (binary === undefined || binary.split('/').at(-1) === KNOWN_BINARY) return []
  return [`\`binary\` has no effect: nodes run with ${KNOWN_BINARY}.`]
}

function diskWarnings(disks: readonly ConfigDisk[]): string[] {
  return disks
    .filter((disk) => disk.interface !== 'virtio')
    .map((disk) => `The disk ${disk.name} is given to the guest as virtio, not as ${disk.interface}.`)
}

function forwards(network: z.infer<typeof configNetworkSchema> | undefined): string[] {
  const list = network?.hostfwd === undefined ? [] : [network.hostfwd].flat()
  return list.map(
    (one) => `The port forward ${one} is not made: a node's network can't be reached from this machine's ports.`,
  )
}
