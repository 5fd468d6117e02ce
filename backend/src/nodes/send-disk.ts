import { chmod, mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { chainOf } from '../domain/layer.js'
import { overlayFile, overlayStagingDir } from '../domain/layout.js'
import type { NodeRecord } from '../domain/node.js'
import { sha256Of } from '../images/file-blocks.js'
import { openOutbox } from '../images/publication.js'
import { openSuspect } from '../images/suspect-file.js'
import { filesBelow, measureCopy, withOpenChain } from '../storage/chain-files.js'
import { copyFailure, limited, readerOf } from '../storage/layer-copies.js'
import { usedBytes } from '../storage/overlays.js'
import { runCommand } from '../system/command.js'
import type { BulkHandle } from '../transactions/operations.js'
import { isAlive } from './clone-prepare.js'
import { requireCloneable, requireWholeDisk, whileStill } from './clone-source.js'
import { imageOf, recordOf, type NodesContext } from './context.js'
import { noSuchImage } from './new-record.js'
import type { SendIntent } from './send-intent.js'
import { inTurn } from './turns.js'

/** A disk as it was at one moment, in one file that needs no other. */
export interface StandaloneDisk {
  path: string
  sizeBytes: number
  sha256: string
  /** What it takes where it is unpacked. */
  unpackedBytes: number
}

/** Bytes that the copy may take here, at most. */
export async function bytesToSend(
  context: NodesContext,
  { source, snapshotId }: Pick<SendIntent, 'source' | 'snapshotId'>,
) {
  const disk = overlayFile(context.layout, source.id)
  const below = belowOf(context, source, snapshotId)
  if (snapshotId !== null) return measureCopy(below, await readerOf(disk))
  // A running QEMU writes to its disk: what that holds is added, not read.
  if (!isAlive(context, source)) return measureCopy([disk, ...below], await readerOf(disk))
  const under = below.length === 0 ? 0 : await measureCopy(below, await readerOf(disk))
  return under + ((await usedBytes(disk)) ?? 0)
}

/**
 * Writes the node's disk as it is now into its staging folder: of a stopped node its chain, of a running one a frozen
 * moment, of a snapshot that. The same disk gives the same bytes, so that a later try can go on with what was sent.
 */
export async function copyStandalone(
  context: NodesContext,
  intent: SendIntent,
  op: BulkHandle,
): Promise<StandaloneDisk> {
  const { source, snapshotId, id } = intent
  const below = belowOf(context, recordOf(context, source.id), snapshotId)
  if (snapshotId !== null) return flatten(context, intent, below, op)
  const action = `send ${source.name} to ${new URL(intent.url).host} (${id.slice(0, 8)})`
  return inTurn(source.id, () =>
    context.locks.run(source.id, action, async () => {
      await requireCloneable(context, intent)
      await requireWholeDisk(context, intent)
      return whileStill(context, intent, recordOf(context, source.id), (disk) =>
        flatten(context, intent, [disk, ...below], op),
      )
    }),
  )
}

export function sendFolder({ layout }: NodesContext, { id }: Pick<SendIntent, 'id'>): string {
  return join(overlayStagingDir(layout), id)
}

async function flatten(
  context: NodesContext,
  intent: SendIntent,
  files: readonly string[],
  op: BulkHandle,
): Promise<StandaloneDisk> {
  const folder = sendFolder(context, intent)
  await mkdir(overlayStagingDir(context.layout), { recursive: true, mode: 0o700 })
  await mkdir(folder, { recursive: true })
  await chmod(folder, 0o711) // searchable by the converter, whatever our umask is
  const identity = await readerOf(overlayFile(context.layout, intent.source.id))
  const output = await openOutbox(folder, identity)
  const unpackedBytes = await measureCopy(files, identity)
  try {
    await withOpenChain(files, (chain, extraFds) =>
      runCommand('qemu-img', [...CONVERT, `json:${JSON.stringify(chain)}`, output], {
        ...limited(identity, op.signal, unpackedBytes),
        cwd: folder,
        extraFds,
        onLine(line) {
          const percent = /\((\d+(?:\.\d+)?)\/100%\)/.exec(line)?.[1]
          if (percent !== undefined) op.step(COPYING, Number(percent) / 1000) // a tenth of the whole
        },
      }),
    )
  } catch (error) {
    throw copyFailure(`the disk of ${intent.source.name}`, error)
  }
  const path = join(folder, 'disk.qcow2')
  await rename(join(folder, output), path)
  return { path, unpackedBytes, ...(await hashed(path, op)) }
}

export const COPYING = 'Copying the disk as it is now'
/** `-c`: fewer bytes on the way. Without `-W`, whose order of writing is not the same twice. */
const CONVERT = ['convert', '-U', '-p', '-c', '-O', 'qcow2', '-o', 'compression_type=zstd']

async function hashed(path: string, op: BulkHandle): Promise<{ sizeBytes: number; sha256: string }> {
  const { file, stats } = await openSuspect(path)
  try {
    op.step('Computing the checksum')
    const sha256 = await sha256Of(file, stats.size, {
      signal: op.signal,
      onBytes: (done) => op.bytes(done, stats.size),
    })
    return { sizeBytes: stats.size, sha256 }
  } finally {
    await file.close()
  }
}

function belowOf(context: NodesContext, source: NodeRecord, snapshotId: SendIntent['snapshotId']): string[] {
  const image = imageOf(context, source.imageId)
  if (!image) throw noSuchImage(source.imageId)
  const backing = snapshotId === null ? source.backing : { kind: 'layer' as const, layerId: snapshotId }
  return filesBelow(context.layout, chainOf(context.store.data.layers, backing), image)
}
