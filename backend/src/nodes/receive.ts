import { chmod, mkdir, rm } from 'node:fs/promises'
import { SandlabError } from '../domain/error.js'
import { overlayApiPath, overlayStagingDir, uploadsDir } from '../domain/layout.js'
import type { Operation } from '../domain/operation.js'
import type { LabState } from '../domain/state.js'
import type { NodeTransfer } from '../domain/transfer.js'
import { formatBytes } from '../domain/units.js'
import { requireChecksums } from '../images/checksums.js'
import { usingUp } from '../images/import-steps.js'
import { DEFAULT_LIMITS } from '../images/image-limits.js'
import { giveBack, takeIn } from '../images/intake.js'
import { finishDisk } from '../images/received-disk.js'
import { forgetTransfer, type KeptTransfer } from '../images/transfers.js'
import { discardOverlay } from '../storage/overlays.js'
import { writeSidecar } from '../storage/sidecars.js'
import { measureSpace, noSpace, reserveSpace } from '../storage/space.js'
import type { BulkHandle } from '../transactions/operations.js'
import type { Procedure } from '../transactions/procedure.js'
import { imageOf, publishNode, recordOf, type Actor, type NodesContext } from './context.js'
import { refuseTaken } from './new-record.js'
import {
  needsOf,
  prepareReceive,
  receiveIntentSchema,
  type ReceiveIntent,
  type ReceiveRights,
} from './receive-prepare.js'
import { dropReplaced, stopReplaced, trashReplaced } from './replace.js'
import { startAll } from './start-all.js'

const UPLOAD_MODE = 0o600

/**
 * Makes a node of a disk that another SandLabX has sent: looked at and converted anew like any stranger's file, then a
 * disk of its own that needs no other file.
 */
export function receiveProcedure(context: NodesContext): Procedure<ReceiveIntent> {
  const { layout } = context
  const folderOf = ({ id }: Pick<ReceiveIntent, 'id'>) => `${overlayStagingDir(layout)}/${id}`
  const uploadOf = ({ uploadId }: Pick<ReceiveIntent, 'uploadId'>) => `${uploadsDir(layout)}/${uploadId}`
  return {
    kind: 'node.receive',
    intent: receiveIntentSchema,
    resources: ({ record, id, replaced }) => [
      { type: 'folder', id: `/overlays/.staging/${id}` },
      { type: 'disk', id: overlayApiPath(record.overlayFile) },
      ...replaced.map(({ overlayFile }) => ({ type: 'trash' as const, id: overlayApiPath(overlayFile) })),
    ],
    around: (intent, work) => aroundReceive(context, intent, work),
    steps: [
      {
        title: 'Comparing the checksum',
        async do(intent, op) {
          await mkdir(overlayStagingDir(layout), { recursive: true, mode: 0o700 })
          await mkdir(folderOf(intent), { recursive: true })
          await chmod(folderOf(intent), 0o711) // searchable by the converter, whatever our umask is
          await usingUpWhatIsWrong(context, intent, () =>
            requireChecksums([{ path: uploadOf(intent), sha256: intent.sha256 }], op.signal),
          )
        },
        undo: (intent) => rm(folderOf(intent), { recursive: true, force: true }),
      },
      {
        title: 'Converting to a clean disk',
        async do(intent, op) {
          const folder = folderOf(intent)
          const what = `receive ${intent.record.name}`
          const source = { path: uploadOf(intent), consume: true }
          await usingUpWhatIsWrong(context, intent, async () => {
            const checked = await takeIn({ source, folder, what, reservedBytes: Infinity, limits: DEFAULT_LIMITS, op })
            const { diskBytes } = intent.record
            if (checked.virtualSizeBytes !== diskBytes) throw otherSize(checked.virtualSizeBytes, diskBytes)
            await finishDisk({
              layout,
              folder,
              checked,
              nodeId: intent.record.id,
              unpackedBytes: intent.unpackedBytes,
              op,
            })
          })
        },
        async undo(intent) {
          await discardOverlay(layout, intent.record.id)
          await giveBack(folderOf(intent), uploadOf(intent), UPLOAD_MODE)
        },
      },
      {
        title: 'Writing the record beside it',
        do: ({ record }) => writeSidecar(layout, record),
        // Taken back with the disk.
      },
      { title: 'Stopping what is replaced', do: (intent, op) => stopReplaced(context, intent, op) },
    ],
    commit: commitReceive,
    after: [
      { title: 'Showing the node', do: (intent) => showReceived(context, intent, folderOf(intent)) },
      { title: 'Moving what is replaced to the trash', do: (intent, op) => trashReplaced(context, intent, op) },
      { title: 'Starting it', do: (intent, op) => startReceived(context, intent, op) },
    ],
  }
}

/** Begins to make the node; back as soon as it has begun. Throws as `prepareReceive`, and `no_space`. */
export async function receiveNode(
  context: NodesContext,
  transfer: KeptTransfer & { request: NodeTransfer },
  uploadId: string,
  actor: Actor,
  rights: ReceiveRights,
): Promise<Operation> {
  const intent = { ...prepareReceive(context, transfer, actor, rights), uploadId }
  const short = (await measureSpace(needsOf(context, intent))).find(({ freeUpBytes }) => freeUpBytes > 0)
  if (short) throw noSpace(short, `receive ${intent.record.name}`)
  const committed = context.transactions.earlier(actor) // by a request that came at the same time
  if (committed) return committed.operation
  const { record } = intent
  const { operation } = context.transactions.run(receiveProcedure(context), intent, {
    title: `Receive ${record.name} from ${transfer.request.from}`,
    actor,
    target: { type: 'node', id: record.id },
    cancellable: true,
    request: actor.request ?? null,
    items: [{ id: record.id, name: record.name }],
  })
  return operation
}

function commitReceive(draft: LabState, intent: ReceiveIntent): void {
  const { record } = intent
  dropReplaced(draft, intent)
  refuseTaken(draft, record.name, record.ownerId)
  if (!draft.images.some(({ id }) => id === record.imageId)) {
    throw new SandlabError('not_found', `The base image ${record.imageId} was deleted meanwhile.`, {
      hint: 'Send it again: its image is sent first.',
    })
  }
  if (draft.nodes.some(({ mac }) => mac === record.mac)) {
    throw new SandlabError('busy', `Could not make ${record.name}: its network address is taken. Try again.`)
  }
  draft.nodes.push(record)
}

/** Alone on what is replaced, with room for the disk, and for a copy of the upload where it can't be moved. */
async function aroundReceive(context: NodesContext, intent: ReceiveIntent, work: () => Promise<void>): Promise<void> {
  const { record, replaced, id } = intent
  const withRoom = () => reserveSpace(needsOf(context, intent), `receive ${record.name}`, work)
  const locked = replaced.reduce<() => Promise<void>>(
    (inner, node) => () => context.locks.run(node.id, `receive ${record.name} (${id.slice(0, 8)})`, inner),
    withRoom,
  )
  await locked()
}

/** An upload that is not what was announced, or is refused, goes with its transfer. */
function usingUpWhatIsWrong({ layout }: NodesContext, intent: ReceiveIntent, work: () => Promise<void>): Promise<void> {
  return usingUp(['checksum_mismatch', 'image_refused'], work, [
    () => rm(`${overlayStagingDir(layout)}/${intent.id}`, { recursive: true, force: true }),
    () => discardUpload(layout, intent),
  ])
}

async function discardUpload(layout: NodesContext['layout'], { uploadId, transferId }: ReceiveIntent): Promise<void> {
  await rm(`${uploadsDir(layout)}/${uploadId}`, { force: true })
  await rm(`${uploadsDir(layout)}/${uploadId}.json`, { force: true })
  await forgetTransfer(layout, transferId)
}

async function showReceived(context: NodesContext, intent: ReceiveIntent, folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true })
  await discardUpload(context.layout, intent)
  if (!context.store.data.nodes.some(({ id }) => id === intent.record.id)) return
  const record = recordOf(context, intent.record.id)
  await context.observations.inspectStorage(record, imageOf(context, record.imageId))
  publishNode(context, record.id)
}

async function startReceived(context: NodesContext, intent: ReceiveIntent, op: BulkHandle): Promise<void> {
  if (!intent.start) op.item(0, { state: 'succeeded' })
  else if (context.transactions.recovery !== null) await startAll(context, [intent.record], op, intent.actor)
  else op.log('SandLabX ended before it was started: start it yourself.')
}

function otherSize(actual: number, announced: number): SandlabError {
  const figures = `${formatBytes(actual)} (${actual} bytes), not ${announced} bytes`
  return new SandlabError(
    'image_refused',
    `The disk that has arrived is not the one that was announced: it has ${figures}.`,
    {
      hint: 'Send it again.',
    },
  )
}
