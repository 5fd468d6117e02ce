import { isSandlabError, SandlabError } from '../../domain/error.js'
import { imageFile } from '../../domain/layout.js'
import type { LabState } from '../../domain/state.js'
import { sha256Of } from '../../images/file-blocks.js'
import { claiming } from '../../images/import-steps.js'
import { publishNode, recordOf, type NodesContext } from '../../nodes/context.js'
import { writeImageSidecar } from '../../storage/image-sidecars.js'
import { openPlain, writeLayerSidecar } from '../../storage/layers.js'
import { writeSidecar } from '../../storage/sidecars.js'
import type { BulkHandle } from '../../transactions/operations.js'
import type { Procedure } from '../../transactions/procedure.js'
import {
  forgetStaging,
  makeDrive,
  moveDisk,
  moveDiskBack,
  putInPlace,
  takeDriveBack,
  takeFromPlace,
} from './repair-files.js'
import { repairIntentSchema, type RepairIntent, type RepairOf } from './repair-intent.js'
import { isInUse } from './verify-node.js'

/** Puts right what a verification has found: whole, or not at all. Nothing is removed; what is in the way moves aside. */
export function repairProcedure(context: NodesContext): Procedure<RepairIntent> {
  const { layout } = context
  return {
    kind: 'storage.repair',
    intent: repairIntentSchema,
    resources: ({ path }) => [{ type: 'disk', id: path }],
    around: (intent, work) => alone(context, intent, work),
    steps: [
      { title: 'Looking whether it fits', do: (intent, op) => lookAgain(context, intent, op) },
      {
        title: 'Repairing',
        async do(intent) {
          if (intent.repair === 'recreate-drive') await makeDrive(layout, intent)
          else if (intent.repair === 'attach') await moveDisk(layout.overlays, intent)
          else if (intent.repair === 'rebase') await putInPlace(layout.images, intent)
        },
        async undo(intent) {
          if (intent.repair === 'recreate-drive') await takeDriveBack(layout, intent)
          else if (intent.repair === 'attach') await moveDiskBack(layout.overlays, intent)
          else if (intent.repair === 'rebase') await takeFromPlace(layout.images, intent)
        },
      },
    ],
    commit(draft, intent) {
      if (intent.repair === 'rebase') takeOn(draft, intent)
      const node = draft.nodes.find(({ id }) => id === intent.nodeId)
      const text = `Its storage was repaired (${intent.repair}): ${intent.path}`
      const event = { at: intent.at, kind: 'changed' as const, text, actorLogin: intent.actor.login }
      if (node) node.events = [event, ...node.events].slice(0, 100)
    },
    after: [
      { title: 'Writing the records beside it', do: (intent) => writeRecords(context, intent) },
      { title: 'Looking at it once more', do: (intent) => showRepaired(context, intent) },
    ],
  }
}

async function alone(context: NodesContext, intent: RepairIntent, work: () => Promise<void>): Promise<void> {
  if (intent.repair === 'rebase') return claiming(context.layout, intent.imageId, work)
  if (intent.nodeId === null) return work()
  return context.locks.run(intent.nodeId, 'repair', work)
}

async function lookAgain(context: NodesContext, intent: RepairIntent, op: BulkHandle): Promise<void> {
  if (intent.repair === 'attach') {
    const record = recordOf(context, intent.nodeId)
    const phase = context.observations.of(record.id).engine?.phase
    if (phase === undefined || ['absent', 'stopped', 'failed'].includes(phase)) return
    throw new SandlabError('wrong_status', `${record.name} can't be given another disk while it runs. Stop it first.`)
  }
  if (intent.repair === 'rebase') await requireContent(context, intent, op)
}

/** Reads the whole file: size and time may lie. Throws `checksum_mismatch`, `storage_not_found`. */
async function requireContent(context: NodesContext, intent: RepairOf<'rebase'>, op: BulkHandle): Promise<void> {
  const name = `/images/${intent.from}`
  try {
    const file = await openPlain(imageFile(context.layout, intent.from))
    try {
      const { size, mtimeMs } = await file.stat()
      const actual = await sha256Of(file, size, { signal: op.signal, onBytes: (done) => op.bytes(done, size) })
      if (actual !== intent.fingerprint.sha256) {
        throw new SandlabError(
          'checksum_mismatch',
          `${name} is not what the nodes were made over: its sha256 differs.`,
          {
            hint: 'Nothing was changed. Only the very same content can take its place.',
            details: { algorithm: 'sha256', expected: intent.fingerprint.sha256, actual },
          },
        )
      }
      // What the commit takes on; the journal need not know it, since before the commit all is undone.
      Object.assign(intent, {
        fingerprint: { ...intent.fingerprint, sizeBytes: size, mtimeMs: Math.floor(mtimeMs) },
      } satisfies Pick<RepairOf<'rebase'>, 'fingerprint'>)
    } finally {
      await file.close()
    }
  } catch (error) {
    if (isSandlabError(error)) throw error
    throw new SandlabError('storage_not_found', `${name} can't be read.`, { cause: error })
  }
}

/** The same content, with the time that its file has now: for the image and for all that were made over it. */
function takeOn(draft: LabState, { imageId, image, to, fingerprint }: RepairOf<'rebase'>): void {
  const known = draft.images.find(({ id }) => id === imageId)
  if (known) known.fingerprint = fingerprint
  else draft.images.push({ ...image, id: imageId, file: to, fingerprint })
  for (const one of [...draft.nodes, ...draft.layers]) {
    if (one.imageId === imageId && one.base.sha256 === fingerprint.sha256) one.base = fingerprint
  }
}

async function writeRecords(context: NodesContext, intent: RepairIntent): Promise<void> {
  const { images, nodes, layers } = context.store.data
  if (intent.repair === 'recreate-drive') return forgetStaging(context.layout, intent)
  if (intent.repair === 'rebase') {
    for (const { id } of images.filter((image) => image.id === intent.imageId)) await writeRecord(context, 'image', id)
    for (const { id } of nodes.filter(({ imageId }) => imageId === intent.imageId))
      await writeRecord(context, 'node', id)
    for (const { id } of layers.filter(({ imageId }) => imageId === intent.imageId)) {
      await writeRecord(context, 'layer', id)
    }
  } else if (intent.repair === 'write-sidecar') await writeRecord(context, intent.subject.type, intent.subject.id)
}

async function writeRecord(context: NodesContext, type: 'node' | 'image' | 'layer', id: string): Promise<void> {
  const { layout, store } = context
  const { images, nodes, layers, snapshots } = store.data
  const image = images.find((one) => one.id === id)
  const node = nodes.find((one) => one.id === id)
  const layer = layers.find((one) => one.id === id)
  if (type === 'image' && image) return writeImageSidecar(layout, image)
  if (type === 'node' && node) return writeSidecar(layout, node)
  if (type !== 'layer' || !layer) return
  const nodeName = nodes.find((one) => one.id === layer.nodeId)?.name ?? ''
  const keeping = snapshots.filter(({ disks }) => disks.some(({ layerId }) => layerId === id))
  await writeLayerSidecar(layout, layer, { nodeName, snapshots: keeping })
}

async function showRepaired(context: NodesContext, intent: RepairIntent): Promise<void> {
  const touched = context.store.data.nodes.filter(({ id, imageId }) =>
    intent.repair === 'rebase' ? imageId === intent.imageId : id === intent.nodeId,
  )
  for (const record of touched) {
    if (record.id !== intent.nodeId && isInUse(context, record.id)) continue
    const image = context.store.data.images.find(({ id }) => id === record.imageId)
    await context.observations.inspectStorage(record, image)
    if (record.id === intent.nodeId) await writeSidecar(context.layout, record)
    publishNode(context, record.id)
  }
  const image = context.store.data.images.find(({ id }) => intent.repair === 'rebase' && id === intent.imageId)
  if (image) context.bus.publish('images', image.id, image)
  context.bus.publish('storage', 'orphans', null)
}
