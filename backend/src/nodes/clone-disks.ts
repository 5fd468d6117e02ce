import { rm } from 'node:fs/promises'
import { writeLayerSidecar } from '../storage/layers.js'
import { discardOverlay } from '../storage/overlays.js'
import { writeSidecar } from '../storage/sidecars.js'
import { createLimiter } from '../system/limiter.js'
import type { BulkHandle } from '../transactions/operations.js'
import type { Layer } from '../domain/layer.js'
import type { NodeRecord } from '../domain/node.js'
import { copyFull, readableSource } from './clone-full.js'
import { snapshotsBefore } from './clone-snapshot.js'
import { discardCloneDrives, makeCloneDrives, writeDriveLayers } from './clone-drives.js'
import { cloneStaging, type CloneIntent } from './clone-intent.js'
import { imageOf, type NodesContext } from './context.js'
import { engineFailure } from './engine-failure.js'
import { noSuchImage } from './new-record.js'
import { specOf } from './spec.js'

/** The step's title: its progress goes on under it. */
export const MAKING = 'Making the disks and their records'
/** Disks that are made at the same time. */
const AT_ONCE = 8

/**
 * Makes the disks of the clones with their records, and the record of the layer; disks that are there already, from
 * before a kill, are looked at. What is independent is written side by side: each waits for the disk.
 */
export async function makeClones(context: NodesContext, intent: CloneIntent, op: BulkHandle): Promise<void> {
  await allEnded([
    ...(intent.layer ? [writeLayerRecord(context, intent, intent.layer)] : []),
    writeDriveLayers(context, intent),
    ...(intent.full
      ? []
      : intent.records.map((record) => recordLimiter.run(() => writeSidecar(context.layout, record)))),
    intent.full ? makeFullClones(context, intent, op) : makeLinkedClones(context, intent, op),
  ])
}

function writeLayerRecord({ layout, store }: NodesContext, intent: CloneIntent, layer: Layer): Promise<void> {
  const snapshots = snapshotsBefore(store.data, intent, layer)
  return writeLayerSidecar(layout, layer, { nodeName: intent.source.name, snapshots })
}

const recordLimiter = createLimiter(AT_ONCE)

/** Throws the first failure when all have ended, so that an undo finds everything. */
async function allEnded(works: readonly Promise<unknown>[]): Promise<void> {
  const failure = (await Promise.allSettled(works)).find((one) => one.status === 'rejected')
  if (failure) throw failure.reason
}

async function makeLinkedClones(context: NodesContext, intent: CloneIntent, op: BulkHandle): Promise<void> {
  const limiter = createLimiter(AT_ONCE)
  let made = 0
  await allEnded(
    intent.records.map((record, index) =>
      limiter.run(async () => {
        op.signal.throwIfAborted()
        op.item(index, { state: 'running' })
        await makeDisk(context, intent, record)
        await makeCloneDrives(context, intent, record, op)
        made += 1
        op.step(MAKING, made / intent.records.length)
      }),
    ),
  )
}

/** One after the other: each keeps the disk busy by itself. */
async function makeFullClones(context: NodesContext, intent: CloneIntent, op: BulkHandle): Promise<void> {
  const source = await readableSource(context, intent, op)
  const count = intent.records.length
  for (const [index, record] of intent.records.entries()) {
    op.signal.throwIfAborted()
    op.item(index, { state: 'running' })
    await copyFull(context, intent, record, source, {
      signal: op.signal,
      onBytes(done, total) {
        op.bytes(index * total + done, count * total)
        op.step(MAKING, (index + done / Math.max(1, total)) / count)
      },
      log: (text) => op.log(text),
    })
    await makeDisk(context, intent, record) // looks at it, and gives it to its user
    await makeCloneDrives(context, intent, record, op)
    await writeSidecar(context.layout, record)
  }
}

async function makeDisk(context: NodesContext, intent: CloneIntent, record: NodeRecord): Promise<void> {
  const image = imageOf(context, record.imageId)
  if (!image) throw noSuchImage(record.imageId)
  const layers = [...context.store.data.layers, ...(intent.layer ? [intent.layer] : [])]
  await context.engine
    .ensureNode(specOf(record, image, layers), `clone-${record.id}`)
    .wait()
    .catch((error: unknown) => {
      throw engineFailure(error, `Could not make the disk of ${record.name}`)
    })
}

export async function discardClones(context: NodesContext, intent: CloneIntent): Promise<void> {
  for (const { id } of intent.records) await discardOverlay(context.layout, id)
  await discardCloneDrives(context, intent)
  await removeCloneStaging(context, intent)
}

/** Absent is success. */
export async function removeCloneStaging(context: NodesContext, intent: CloneIntent): Promise<void> {
  await rm(cloneStaging(context.layout, intent), { recursive: true, force: true })
}
