import { open, rm, stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { SandlabError } from '../../domain/error.js'
import { chainOf } from '../../domain/layer.js'
import { overlayStagingDir } from '../../domain/layout.js'
import { imageOf, recordOf, type Actor, type NodesContext } from '../../nodes/context.js'
import { noSuchImage } from '../../nodes/new-record.js'
import { filesBelow, measureCopy } from '../../storage/chain-files.js'
import { reserveSpace } from '../../storage/space.js'
import { copyStandalone } from '../../storage/standalone-copy.js'
import { workerIdentity } from '../../system/identity.js'
import { requireWholeChain } from '../chains.js'
import { snapshotOfNode } from './snapshot-rules.js'

export interface Export {
  fileName: string
  sizeBytes: number
  /** One qcow2 that needs no other file. Its staged copy is gone once this has ended or was destroyed. */
  stream: Readable
}

/**
 * Prepares one disk of a snapshot as a file of its own. `signal`: nobody wants it any more. Throws `not_found`,
 * `chain_broken`, `no_space`, `cancelled`; leaves nothing.
 */
export async function exportSnapshot(
  context: NodesContext,
  id: string,
  snapshotId: string,
  driveId: string,
  actor: Actor,
  signal: AbortSignal,
): Promise<Export> {
  const { layout, store, operations } = context
  const record = recordOf(context, id)
  const snapshot = snapshotOfNode(store.data, record, snapshotId)
  const disk = snapshot.disks.find((one) => one.driveId === driveId)
  const layer = store.data.layers.find((one) => one.id === disk?.layerId)
  if (!disk || !layer) {
    throw new SandlabError('not_found', `The snapshot ${snapshot.name} has no disk ${driveId}.`, {
      hint: `It has ${snapshot.disks.map((one) => one.driveId).join(', ')}.`,
    })
  }
  const backing = { kind: 'layer' as const, layerId: layer.id }
  await requireWholeChain(context, { imageId: layer.imageId, backing })
  const chain = chainOf(store.data.layers, backing)
  const image = imageOf(context, layer.imageId)
  if (chain.base && !image) throw noSuchImage(layer.imageId)
  const files = filesBelow(layout, chain, image ?? { file: '' })
  const identity = workerIdentity()
  const folder = `${overlayStagingDir(layout)}/export-${crypto.randomUUID()}`
  const target = `${folder}/disk.qcow2`
  const title = `Export snapshot ${snapshot.name} of ${record.name}`
  const bytes = await measureCopy(files, identity)
  const { operation, result } = operations.start(
    { kind: 'snapshot.export', title, actor, target: { type: 'node', id: record.id }, cancellable: true },
    async (op) => {
      op.step('Copying and comparing')
      const stop = AbortSignal.any([op.signal, signal])
      const onBytes = (done: number, total: number) => op.bytes(done, total)
      const copy = { files, identity, virtualSizeBytes: layer.diskBytes, target, signal: stop, onBytes }
      await reserveSpace([{ path: layout.overlays, bytes }], `export ${snapshot.name}`, () => copyStandalone(copy))
    },
  )
  // A backend that stops goes on with no export.
  const cancel = () => cancelQuietly(context, operation.id)
  signal.addEventListener('abort', cancel, { once: true })
  try {
    await result
    signal.throwIfAborted()
    return { fileName: fileNameOf(record.name, snapshot.name, driveId), ...(await streamed(target, folder)) }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}

/** Shown as cancelled, not as failed. */
function cancelQuietly({ operations }: NodesContext, id: string): void {
  if (operations.get(id)?.state === 'running') operations.cancel(id)
}

async function streamed(target: string, folder: string): Promise<{ sizeBytes: number; stream: Readable }> {
  const { size } = await stat(target)
  const file = await open(target, 'r')
  // Open, it needs no name: whatever becomes of the reader, nothing stays.
  await rm(folder, { recursive: true, force: true })
  return { sizeBytes: size, stream: file.createReadStream({ autoClose: true }) }
}

function fileNameOf(node: string, snapshot: string, driveId: string): string {
  return `${node}-${snapshot}${driveId === 'root' ? '' : `-${driveId}`}.qcow2`
}
