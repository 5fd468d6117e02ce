import { chown, link, rm } from 'node:fs/promises'
import { chainOf } from '../domain/layer.js'
import { overlayFile } from '../domain/layout.js'
import type { NodeRecord } from '../domain/node.js'
import { filesBelow } from '../storage/chain-files.js'
import { copyDisk, readerOf } from '../storage/layer-copies.js'
import { backingNameOf } from '../storage/overlays.js'
import { copyStandalone, type StandaloneCopy } from '../storage/standalone-copy.js'
import { fsyncDirectory } from '../system/durable-file.js'
import { workerIdentity } from '../system/identity.js'
import type { BulkHandle } from '../transactions/operations.js'
import { cloneStaging, type CloneIntent } from './clone-intent.js'
import { isAlive } from './clone-prepare.js'
import { whileStill } from './clone-source.js'
import { imageOf, recordOf, type NodesContext } from './context.js'
import { noSuchImage } from './new-record.js'
import { existsForSure } from '../system/exists.js'

/** A chain of files that stand still until the clone has ended, nearest first. */
export type ReadableSource = Pick<StandaloneCopy, 'files' | 'identity'>

/**
 * What a full clone is copied from: a snapshot's layer, the disk of a stopped source, or what a running source's disk
 * held when it was frozen. That is copied first: the guest is not kept waiting, and after a kill it is still the same.
 */
export async function readableSource(
  context: NodesContext,
  intent: CloneIntent,
  op: BulkHandle,
): Promise<ReadableSource> {
  const { layout } = context
  const source = recordOf(context, intent.source.id)
  const image = imageOf(context, source.imageId)
  if (!image) throw noSuchImage(source.imageId)
  const layers = [...context.store.data.layers, ...(intent.layer ? [intent.layer] : [])]
  const below = filesBelow(layout, chainOf(layers, intent.from), image)
  if (intent.snapshotId !== null || intent.layer) return { files: below, identity: workerIdentity() }
  const moment = `${cloneStaging(layout, intent)}/source.qcow2`
  if (!(await existsForSure(moment)) && !isAlive(context, source)) {
    const disk = overlayFile(layout, source.id)
    return { files: [disk, ...below], identity: await readerOf(disk) }
  }
  if (!(await existsForSure(moment))) {
    op.log('Copying what the running source has on its disk at this moment.')
    const backing = await backingNameOf(layout, image, chainOf(layers, source.backing))
    await whileStill(context, intent, source, (from) =>
      copyDisk({ from, to: moment, backing, diskBytes: source.diskBytes, signal: op.signal }),
    )
  }
  return { files: [moment, ...below], identity: workerIdentity() }
}

type Telling = Pick<StandaloneCopy, 'signal' | 'onBytes'> & { log(text: string): void }

/** Copies in staging, and gives the whole, fsynced file its name; there already: it was whole before a kill. */
export async function copyFull(
  context: NodesContext,
  intent: CloneIntent,
  record: NodeRecord,
  source: ReadableSource,
  telling: Telling,
): Promise<void> {
  const { layout } = context
  const disk = overlayFile(layout, record.id)
  if (await existsForSure(disk)) return
  const target = `${cloneStaging(layout, intent)}/${record.id}.qcow2`
  const virtualSizeBytes = record.diskBytes
  const { sha256, resumedBytes } = await copyStandalone({ ...source, ...telling, virtualSizeBytes, target })
  if (resumedBytes > 0)
    telling.log(`Went on after ${resumedBytes} bytes that were copied before and still have their checksum.`)
  telling.log(`${record.name}: what was read and what was written have the same sha256 (${sha256}).`)
  const owner = workerIdentity()
  if (owner) await chown(target, owner.uid, owner.gid)
  await link(target, disk)
  await rm(target)
  await fsyncDirectory(layout.overlays)
}
