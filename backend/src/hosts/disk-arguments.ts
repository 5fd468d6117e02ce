import { type DriveLimits, type DriveSettings, NO_LIMITS } from '../domain/drive.js'
import { dataDrive, overlayChain, rawFile } from './block-devices.js'
import type { NodeSpec } from './engine.js'
import type { DiskSpec } from './engine-disks.js'
import { PCI } from './machine-checks.js'

/** Where files lie, as QEMU sees them. */
export interface DiskPlaces {
  images: string
  overlays: string
  /** Null: the node has no seed. */
  seed: string | null
  /** A person's file as QEMU sees it; default: by its whole path. */
  own?: (path: string) => string
}

/** QEMU's options for a node's disks: the root disk first, each further one at a place of its own on the bus. Pure. */
export function diskArguments(spec: NodeSpec, places: DiskPlaces): string[] {
  const inOverlays = (file: string) => `${places.overlays}/${file}`
  const own = places.own ?? ((path: string) => path)
  const root = spec.disks.find((disk) => disk.role === 'root')
  const rootChain = root && {
    ...root,
    overlay: inOverlays(root.file),
    ephemeral: spec.ephemeral,
    backing: [
      ...(spec.backing?.layers ?? []).map(inOverlays),
      ...(spec.backing?.base === false ? [] : [`${places.images}/${spec.base.file}`]),
    ],
  }
  const data = spec.disks
    .filter((disk) => disk.role === 'data')
    .flatMap((disk, index) => {
      const file = disk.path === undefined ? inOverlays(disk.file) : own(disk.path)
      const backing = (disk.backing?.layers ?? []).map(inOverlays)
      // QEMU's names of nodes are shorter than a drive's id may be.
      const drive = `data${index}`
      return [
        ...blockdev(dataDrive(drive, { ...disk, file, backing })),
        ...diskDevice({ id: disk.id, drive, slot: PCI.firstData + index, cache: disk.cache }),
      ]
    })
  return [
    ...(rootChain ? blockdev(overlayChain('root', rootChain)) : []),
    ...(rootChain ? rootDevice(spec, root?.cache) : []),
    // A disk, not a CD: Debian's and Alpine's cloud kernels have no driver for a CD, all have virtio.
    ...(places.seed === null ? [] : blockdev(rawFile('seed', places.seed, true))),
    ...(places.seed === null ? [] : diskDevice({ id: 'seed', drive: 'seed', slot: PCI.seed })),
    ...data,
  ]
}

function rootDevice(spec: NodeSpec, cache: DriveSettings['cache'] | undefined): string[] {
  const disk = { id: 'root', drive: 'root', slot: PCI.root, bootIndex: 1, cache }
  return spec.devices?.disk === 'ide' ? ideDevice(disk) : diskDevice(disk)
}

interface DiskDevice {
  id: string
  drive: string
  slot: number
  bootIndex?: number
  cache?: DriveSettings['cache'] | undefined
}

/**
 * The guest finds a disk by its serial number, the drive's id, of which virtio shows 20 letters. On an error of the
 * host's disk the guest is paused, not told: after the cause is gone it goes on unharmed.
 */
function diskDevice({ slot, ...disk }: DiskDevice): string[] {
  return device({ driver: 'virtio-blk-pci', addr: `0x${slot.toString(16)}`, ...propertiesOf(disk) })
}

/** The first disk of the machine's own IDE controller: what a guest knows as `/dev/sda`. */
function ideDevice({ slot: _slot, ...disk }: DiskDevice): string[] {
  return device({ driver: 'ide-hd', bus: 'ide.0', unit: 0, ...propertiesOf(disk) })
}

function propertiesOf({ id, drive, bootIndex, cache }: Omit<DiskDevice, 'slot'>) {
  return {
    id: `disk-${id}`,
    drive,
    serial: id,
    werror: 'stop',
    rerror: 'stop',
    ...(bootIndex === undefined ? {} : { bootindex: bootIndex }),
    ...(cache === 'writethrough' ? { 'write-cache': 'off' } : {}),
  }
}

function device(properties: object): string[] {
  return ['-device', JSON.stringify(properties)]
}

function blockdev(node: object): string[] {
  return ['-blockdev', JSON.stringify(node)]
}

/**
 * QMP's `block_set_io_throttle` for each disk that has limits. At the device and not in the graph, which snapshots and
 * merges change while the guest runs. Pure.
 */
export function throttles(disks: readonly DiskSpec[], devices?: NodeSpec['devices']): Record<string, unknown>[] {
  return disks.flatMap(({ id, role, limits }) => {
    const isIde = role === 'root' && devices?.disk === 'ide'
    return limits && hasLimits(limits) ? [throttleOf(id, limits, isIde)] : []
  })
}

function hasLimits(limits: DriveLimits): boolean {
  return Object.keys(NO_LIMITS).some((name) => limits[name as keyof DriveLimits] !== null) // its own keys
}

function throttleOf(id: string, limits: DriveLimits, isIde: boolean): Record<string, unknown> {
  const { bytesPerSecond, operationsPerSecond, burstBytesPerSecond, burstOperationsPerSecond } = limits
  return {
    id: `/machine/peripheral/disk-${id}${isIde ? '' : '/virtio-backend'}`, // virtio's PCI device only carries it
    bps: bytesPerSecond ?? 0,
    bps_rd: 0,
    bps_wr: 0,
    iops: operationsPerSecond ?? 0,
    iops_rd: 0,
    iops_wr: 0,
    ...(burstBytesPerSecond === null ? {} : { bps_max: burstBytesPerSecond }),
    ...(burstOperationsPerSecond === null ? {} : { iops_max: burstOperationsPerSecond }),
  }
}
