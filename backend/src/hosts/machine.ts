import { createHash } from 'node:crypto'
import { agentSocket, qmpSocket, serialLog, serialSocket, vncSocket } from '../domain/layout.js'
import type { NodeDevices } from '../domain/node.js'
import { rawFile } from './block-devices.js'
import { diskArguments } from './disk-arguments.js'
import type { NodeSpec } from './engine.js'
import { PCI, requireSafeSpec } from './machine-checks.js'

export type Accelerator = 'kvm' | 'tcg'

/** Folders and files as QEMU sees them: relative to its working folder where they lie below it. */
export interface MachinePaths {
  images: string
  overlays: string
  /** A person's file; default: by its whole path. */
  own?: (path: string) => string
  /** The node's own folder, where QEMU makes its sockets. */
  io: string
  /** Null: the node has no seed. */
  seed: string | null
  /** Null: BIOS. */
  uefi: { code: string; variables: string } | null
}

export interface MachinePlan {
  spec: NodeSpec
  accelerator: Accelerator
  qemuVersion: { major: number; minor: number }
  paths: MachinePaths
}

/**
 * What a CPU is under TCG: as quick as `qemu64`, with what x86-64-v2 distributions ask for (RHEL 9 and its kin refuse
 * to start without), and RDRAND, so that a guest never waits for entropy. `max` costs 5 to 10 % for what nobody needs.
 */
const TCG_CPU = 'qemu64,svm=off,cx16=on,lahf-lm=on,popcnt=on,ssse3=on,sse4.1=on,sse4.2=on,rdrand=on'
/** QEMU's cache of translated code, MiB: the default of 1 GiB could hold more memory than the node itself. */
const TCG_CACHE_MIB = 256

/**
 * QEMU's arguments for one node: a decision, nothing is touched. For QEMU 7.2 to 10.
 *
 * No text of a person is part of an option: names stay out, ids, MACs and file names have closed forms (throws
 * EngineError `broken`), files go as JSON. The guest does not run yet (`-S`): `cont` over QMP, once it is on record.
 */
export function qemuArguments(plan: MachinePlan): string[] {
  requireSafeSpec(plan.spec)
  return [
    ...identityArguments(plan),
    ...processorArguments(plan),
    ...firmwareArguments(plan),
    ...diskArguments(plan.spec, plan.paths),
    ...plan.spec.nics.flatMap((nic, index) => nicArguments(nic, index, plan.spec.devices?.card)),
    ...deviceArguments(),
    ...channelArguments(plan.paths.io),
    ...keyboardArguments(plan.spec),
    ...agentArguments(plan),
    ...confinementArguments(),
  ]
}

/** `-name`, as QEMU's `query-name` gives it back: a process found after a restart says which start it is. */
export function machineName(spec: Pick<NodeSpec, 'id' | 'generation'>): string {
  return `sandlabx-${spec.id}-g${spec.generation}`
}

/**
 * Whether these are the arguments of a process that runs as this node. Instead of a `-pidfile`, whose path QEMU resolves
 * from the root, where the worker may have no right to enter.
 */
export function runsAs(args: string[], id: string): boolean {
  return args.some((arg, index) => arg === '-uuid' && args[index + 1] === id)
}

/**
 * The MAC address of a node's n-th network card: locally administered and unicast (`02:`), then 40 bits of a hash of
 * the id, so that the same node always has the same one. Two of 1,000 nodes meet with a chance of 1 in two million;
 * `attempt` gives the next candidate when they do.
 */
export function macOf(nodeId: string, card = 0, attempt = 0): string {
  const digest = createHash('sha256').update(`sandlabx-mac ${nodeId} ${card} ${attempt}`).digest()
  return ['02', ...Array.from(digest.subarray(0, 5), (byte) => byte.toString(16).padStart(2, '0'))].join(':')
}

function identityArguments({ spec }: MachinePlan): string[] {
  const name = ['-name', `guest=${machineName(spec)}`]
  // It waits for its memory instead of booting: `migrate-incoming` over QMP.
  const incoming = spec.resume ? ['-incoming', 'defer'] : []
  return ['-no-user-config', '-nodefaults', '-S', '-uuid', spec.id, ...name, ...incoming]
}

function processorArguments({ spec, accelerator, qemuVersion }: MachinePlan): string[] {
  return [
    '-machine',
    `pc-i440fx-${qemuVersion.major}.${qemuVersion.minor},usb=off,dump-guest-core=off`,
    '-accel',
    accelerator === 'kvm' ? 'kvm' : `tcg,tb-size=${TCG_CACHE_MIB}`,
    '-cpu',
    accelerator === 'kvm' ? 'host' : TCG_CPU,
    '-smp',
    `cpus=${spec.cpus},sockets=1,cores=${spec.cpus},threads=1`,
    '-m',
    `size=${spec.memoryMib}M`,
    '-rtc',
    'base=utc',
    // A guest that puts itself to sleep would look dead, and nothing in the page could wake it.
    '-global',
    'PIIX4_PM.disable_s3=1',
    '-global',
    'PIIX4_PM.disable_s4=1',
  ]
}

function firmwareArguments({ spec, paths }: MachinePlan): string[] {
  const uefi = paths.uefi
  const pflash = uefi
    ? [
        ...blockdev(rawFile('uefi-code', uefi.code, true)),
        ...blockdev(rawFile('uefi-variables', uefi.variables, false)),
        '-machine',
        'pflash0=uefi-code,pflash1=uefi-variables',
      ]
    : []
  const boot = spec.directBoot
  if (!boot) return [...pflash, '-boot', 'strict=on']
  const kernel = ['-kernel', `${paths.images}/${boot.kernel}`, '-append', boot.commandLine]
  const initrd = boot.initrd === null ? [] : ['-initrd', `${paths.images}/${boot.initrd}`]
  return [...pflash, '-boot', 'strict=on', ...kernel, ...initrd]
}

/**
 * User networking. `restrict=on`: the guest reaches nothing beyond QEMU. `off`: it reaches what QEMU reaches, which is in
 * a network of its own; IPv6 leads nowhere from there.
 */
function nicArguments(nic: NodeSpec['nics'][number], index: number, card: NodeDevices['card'] = 'virtio'): string[] {
  const id = `net${index}`
  return [
    '-netdev',
    `user,id=${id},net=10.0.${2 + index}.0/24,restrict=${nic.internet ? 'off,ipv6=off' : 'on'}`,
    // No option ROM: nothing boots from the network, and iPXE would delay each start.
    ...device({
      driver: card === 'e1000' ? 'e1000' : 'virtio-net-pci',
      id: `nic${index}`,
      netdev: id,
      mac: nic.mac,
      addr: address(PCI.firstNic + index),
      romfile: '',
    }),
  ]
}

/**
 * A plain VGA (every guest has a driver), entropy, and a virtio tablet: an absolute pointer that, unlike a USB tablet,
 * needs no controller and is never polled.
 */
function deviceArguments(): string[] {
  return [
    ...device({ driver: 'VGA', id: 'video', addr: address(PCI.video) }),
    ...device({ driver: 'virtio-tablet-pci', id: 'tablet', addr: address(PCI.tablet) }),
    '-object',
    JSON.stringify({ 'qom-type': 'rng-builtin', id: 'entropy' }),
    ...device({ driver: 'virtio-rng-pci', id: 'rng', rng: 'entropy', addr: address(PCI.rng) }),
  ]
}

/** QMP, screen and serial line, each on a socket in the node's folder; no monitor that a console could reach. */
function channelArguments(io: string): string[] {
  const log = `logfile=${option(serialLog(io))},logappend=on`
  return [
    '-monitor',
    'none',
    '-chardev',
    `socket,id=qmp,path=${option(qmpSocket(io))},server=on,wait=off`,
    '-mon',
    'chardev=qmp,mode=control',
    '-chardev',
    `socket,id=serial0,path=${option(serialSocket(io))},server=on,wait=off,${log}`,
    '-serial',
    'chardev:serial0',
    '-display',
    'none',
    '-vnc',
    `unix:${option(vncSocket(io))},share=force-shared`, // a second viewer never throws out the first
  ]
}

/**
 * Only where a layout was chosen: with one, QEMU goes by characters also for viewers that send the keys themselves
 * (noVNC), which then are wrong on any other keyboard.
 */
function keyboardArguments({ keyboard }: NodeSpec): string[] {
  return keyboard === undefined ? [] : ['-k', keyboard]
}

/** By which qemu-guest-agent finds its port. */
const AGENT_PORT = 'org.qemu.guest_agent.0'

/** A virtio-serial bus with one port for the guest's agent. Of no more than two, because each costs the guest two queues. */
function agentArguments({ spec, paths }: MachinePlan): string[] {
  if (spec.agent !== true) return []
  return [
    '-chardev',
    `socket,id=agent,path=${option(agentSocket(paths.io))},server=on,wait=off`,
    ...device({ driver: 'virtio-serial-pci', id: 'agent-bus', max_ports: 2, addr: address(PCI.agent) }),
    ...device({ driver: 'virtserialport', id: 'agent-port', bus: 'agent-bus.0', chardev: 'agent', name: AGENT_PORT }),
  ]
}

/** Whether a machine with these arguments has a port for the guest's agent. Pure. */
export function hasAgentPort(args: readonly string[]): boolean {
  return args.some((arg, index) => args[index - 1] === '-device' && arg.includes(`"${AGENT_PORT}"`))
}

/** No new programs, no new rights, even for a guest that has taken QEMU over. */
function confinementArguments(): string[] {
  return ['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny', '-msg', 'timestamp=on']
}

function blockdev(node: object): string[] {
  return ['-blockdev', JSON.stringify(node)]
}

function device(properties: object): string[] {
  return ['-device', JSON.stringify(properties)]
}

function address(slot: number): string {
  return `0x${slot.toString(16)}`
}

/** A comma ends an option's value unless it is doubled (qemu(1)). */
function option(path: string): string {
  return path.replaceAll(',', ',,')
}
