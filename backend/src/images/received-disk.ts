import { join } from 'node:path'
import { rename } from 'node:fs/promises'
import { overlayFile, type Layout } from '../domain/layout.js'
import { MIB } from '../domain/units.js'
import { publishFile, storageFailure } from '../system/durable-file.js'
import { workerIdentity } from '../system/identity.js'
import type { OperationHandle } from '../transactions/operations.js'
import { convertToBase } from './conversion.js'
import { checkDisk, type CheckedDisk } from './header-check.js'
import { DEFAULT_LIMITS } from './image-limits.js'
import { SOURCE_NAME } from './intake.js'
import { openOutbox } from './publication.js'
import { refused } from './refusal.js'
import { openSuspect } from './suspect-file.js'

export interface ReceivedDisk {
  layout: Layout
  /** Its staging folder, with the file that was taken in. */
  folder: string
  checked: CheckedDisk
  nodeId: string
  /** What its sender said that it takes; a file that unpacks to more is refused. */
  unpackedBytes: number
  op: OperationHandle
}

const SPARE_BYTES = 64 * MIB

/**
 * Converts a checked file to a fresh disk that stands on nothing, looks at that as at a stranger's, and gives it the
 * node's name in `overlays/`, durably. It belongs to the worker. Throws `image_refused`, `no_space`, `cancelled`.
 */
export async function finishDisk(disk: ReceivedDisk): Promise<void> {
  const { layout, folder, checked, nodeId, op } = disk
  const identity = workerIdentity()
  const output = await openOutbox(folder, identity)
  await convertToBase({
    folder,
    source: SOURCE_NAME,
    target: output,
    checked,
    limits: DEFAULT_LIMITS,
    identity,
    trusted: false,
    form: 'disk',
    maxBytes: disk.unpackedBytes + SPARE_BYTES,
    signal: op.signal,
    onProgress: (done) => op.step('Converting to a clean disk', 0.1 + 0.8 * done),
  })
  const path = join(folder, 'disk.qcow2')
  await rename(join(folder, output), path)
  const { file } = await openSuspect(path)
  try {
    const made = await checkDisk(file, { ...DEFAULT_LIMITS, maxFileBytes: Number.MAX_SAFE_INTEGER })
    if (made.format !== 'qcow2' || made.virtualSizeBytes !== checked.virtualSizeBytes) {
      throw refused('The converted disk is not what the file announced.', 'Send it again.')
    }
    await file.chmod(0o600)
    await file.sync()
  } finally {
    await file.close()
  }
  await publishFile(path, overlayFile(layout, nodeId)).catch((error: unknown) => {
    throw storageFailure('give the disk its name', error)
  })
}
