import type { NodeId } from '../../src/domain/ids.js'
import { overlayFileName } from '../../src/domain/layout.js'
import type { NodeSpec } from '../../src/hosts/engine.js'
import { macOf } from '../../src/hosts/machine.js'
import type { TinyImage } from './tiny-guest.js'

/** A small node over an image, as nodes/spec.ts would describe it. */
export function specOver(image: TinyImage, id: NodeId, changes: Partial<NodeSpec> = {}): NodeSpec {
  return {
    id,
    name: `node-${id.slice(0, 8)}`,
    generation: 1,
    cpus: 1,
    memoryMib: 32,
    base: { file: image.file, fingerprint: image.fingerprint },
    firmware: 'bios',
    directBoot: null,
    disks: [
      { id: 'root', role: 'root', file: overlayFileName(id), sizeBytes: image.virtualSizeBytes, readOnly: false },
    ],
    nics: [{ mac: macOf(id), internet: false }],
    seed: null,
    ...changes,
  }
}
