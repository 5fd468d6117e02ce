import { ROOT_DRIVE, type DriveRecord, type DriveSettings } from '../domain/drive.js'
import type { Image } from '../domain/image.js'
import { isKeyboard } from '../domain/keyboard.js'
import { chainOf, type Layer } from '../domain/layer.js'
import type { NodeRecord } from '../domain/node.js'
import type { NodeSpec } from '../hosts/engine.js'
import type { DiskSpec } from '../hosts/engine-disks.js'

/** What the engine is asked to run: the record and what its disk stands on, nothing observed. Pure. */
export function specOf(
  record: NodeRecord,
  image: Image,
  layers: readonly Layer[],
  /** Public keys that every guest is given beside its own, for its SSH consoles. */
  labKeys: readonly string[] = [],
): NodeSpec {
  const chain = chainOf(layers, record.backing)
  return {
    id: record.id,
    name: record.name,
    generation: record.generation,
    cpus: record.cpus,
    memoryMib: record.memoryMib,
    base: { file: image.file, fingerprint: record.base },
    backing: { layers: chain.layers.map(({ file }) => file), base: chain.base },
    firmware: image.firmware,
    directBoot: image.directBoot,
    disks: [
      {
        id: ROOT_DRIVE,
        role: 'root',
        file: record.overlayFile,
        sizeBytes: record.diskBytes,
        ...accessOf(record.rootDrive),
      },
      ...record.drives.map((drive) => diskOf(drive, layers)),
    ],
    nics: [{ mac: record.mac, internet: record.internet }],
    agent: record.agent,
    ...(record.keyboard !== null && isKeyboard(record.keyboard) ? { keyboard: record.keyboard } : {}),
    ...(record.devices ? { devices: record.devices } : {}),
    seed: image.cloudInit
      ? {
          // The id alone: cloud-init runs its first-boot steps once per instance id, and a rename is no new instance.
          instanceId: record.id,
          hostName: record.name,
          user: record.guest.user,
          passwordHash: record.guest.passwordHash,
          sshKeys: [...record.guest.sshKeys, ...labKeys],
        }
      : null,
  }
}

function diskOf(drive: DriveRecord, layers: readonly Layer[]): DiskSpec {
  const { id, file, format, sizeBytes, backing } = drive
  const disk: DiskSpec = { id, role: 'data', file, format, sizeBytes, ...accessOf(drive) }
  if (file.includes('/')) return { ...disk, path: file }
  if (backing.kind !== 'layer') return disk
  // A drive stands on no image: where its layers end, it ends.
  return { ...disk, backing: { layers: chainOf(layers, backing).layers.map((layer) => layer.file), base: false } }
}

function accessOf({ readOnly, cache, io, limits }: DriveSettings) {
  return { readOnly, cache, io, limits }
}
