import type { Image } from '../domain/image.js'
import { chainOf, type Layer } from '../domain/layer.js'
import type { NodeRecord } from '../domain/node.js'
import type { NodeSpec } from '../hosts/engine.js'

/** What the engine is asked to run: the record and what its disk stands on, nothing observed. Pure. */
export function specOf(record: NodeRecord, image: Image, layers: readonly Layer[]): NodeSpec {
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
    disks: [{ id: 'root', role: 'root', file: record.overlayFile, sizeBytes: record.diskBytes, readOnly: false }],
    nics: [{ mac: record.mac, internet: record.internet }],
    seed: image.cloudInit
      ? {
          // The id alone: cloud-init runs its first-boot steps once per instance id, and a rename is no new instance.
          instanceId: record.id,
          hostName: record.name,
          user: record.guest.user,
          passwordHash: record.guest.passwordHash,
          sshKeys: record.guest.sshKeys,
        }
      : null,
  }
}
