import { driveIdSchema } from '../domain/drive.js'
import { nodeIdSchema } from '../domain/ids.js'
import { ephemeralFileName, overlayFileName } from '../domain/layout.js'
import { EngineError, type NodeSpec } from './engine.js'
import type { DiskSpec } from './engine-disks.js'

/** Where things lie on the machine's PCI bus; fixed, so that a seed or a drive more never renames a network card. */
export const PCI = {
  video: 0x2,
  firstNic: 0x3,
  root: 0x8,
  seed: 0x9,
  firstData: 0xa,
  agent: 0x1c,
  tablet: 0x1d,
  rng: 0x1e,
} as const
export const MAX_NICS = PCI.root - PCI.firstNic
export const MAX_DATA_DISKS = 16

/** One path below its folder: no `..`, no colon (QEMU reads `x:` as a protocol), no comma, nothing hidden. */
const FILE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}(\/[A-Za-z0-9][A-Za-z0-9._-]{0,127}){0,2}$/
/** No control characters, and nothing longer than a path may be. */
// oxlint-disable-next-line no-control-regex -- they are what is refused
const ABSOLUTE = /^\/[^\x00-\x1f\x7f]{1,4095}$/
const MAC = /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/
/** Printable ASCII: what a kernel command line is made of. */
const KERNEL_COMMAND_LINE = /^[\x20-\x7e]{0,2000}$/

/**
 * The last gate before QEMU: every value that reaches an argument has a closed form, whatever the record says.
 * Throws EngineError `broken` naming the field. Pure.
 */
export function requireSafeSpec(spec: NodeSpec): void {
  requireThat(nodeIdSchema.safeParse(spec.id).success, 'id', spec.id)
  requireWhole('generation', spec.generation, 0, Number.MAX_SAFE_INTEGER)
  requireWhole('cpus', spec.cpus, 1, 64)
  requireWhole('memoryMib', spec.memoryMib, 1, 1_048_576)
  requireFile('base.file', spec.base.file)
  for (const disk of spec.disks) if (disk.role !== 'root') requireDisk(disk)
  for (const layer of spec.backing?.layers ?? []) requireFile('backing.layers', layer)
  const roots = spec.disks.filter((disk) => disk.role === 'root')
  requireThat(roots.length === 1 && roots[0]?.readOnly === false, 'disks', 'needs exactly one writable root disk')
  // The one that storage looks at before each start.
  const rootFile = spec.ephemeral ? ephemeralFileName(spec.id) : overlayFileName(spec.id)
  requireThat(roots[0]?.file === rootFile, 'disks.file', roots[0]?.file)
  if (roots[0]) requireDisk({ ...roots[0], file: overlayFileName(spec.id) })
  requireThat(new Set(spec.disks.map(({ id }) => id)).size === spec.disks.length, 'disks.id', 'twice')
  requireThat(spec.disks.length - 1 <= MAX_DATA_DISKS, 'disks', `more than ${MAX_DATA_DISKS} data disks`)
  requireThat(spec.nics.length <= MAX_NICS, 'nics', `more than ${MAX_NICS} network cards`)
  for (const nic of spec.nics) requireThat(MAC.test(nic.mac), 'nics.mac', nic.mac)
  requireThat(spec.firmware === 'bios' || spec.firmware === 'uefi', 'firmware', spec.firmware)
  if (!spec.directBoot) return
  requireFile('directBoot.kernel', spec.directBoot.kernel)
  if (spec.directBoot.initrd !== null) requireFile('directBoot.initrd', spec.directBoot.initrd)
  const line = spec.directBoot.commandLine
  requireThat(KERNEL_COMMAND_LINE.test(line), 'directBoot.commandLine', line)
}

/** A person's own file keeps its name, which goes to QEMU as JSON and never as part of an option. */
function requireDisk(disk: DiskSpec): void {
  requireThat(driveIdSchema.safeParse(disk.id).success, 'disks.id', disk.id)
  if (disk.path === undefined) requireFile('disks.file', disk.file)
  else requireThat(disk.role === 'data' && ABSOLUTE.test(disk.path), 'disks.path', disk.path)
  for (const layer of disk.backing?.layers ?? []) requireFile('disks.backing.layers', layer)
  requireThat(disk.io !== 'native' || disk.cache === 'none', 'disks.io', 'native needs the cache none')
}

function requireFile(field: string, value: string): void {
  requireThat(FILE.test(value) && !value.includes('..'), field, value)
}

function requireWhole(field: string, value: number, least: number, most: number): void {
  requireThat(Number.isSafeInteger(value) && value >= least && value <= most, field, value)
}

function requireThat(good: boolean, field: string, value: unknown): void {
  if (good) return
  const shown = JSON.stringify(value)?.slice(0, 80)
  throw new EngineError('broken', `The node can't be run: its ${field} is not acceptable (${shown}).`)
}
