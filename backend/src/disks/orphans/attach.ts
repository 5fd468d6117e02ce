import { rm } from 'node:fs/promises'
import { SandlabError } from '../../domain/error.js'
import { overlayApiPath, overlayFile } from '../../domain/layout.js'
import type { Operation } from '../../domain/operation.js'
import type { LabState } from '../../domain/state.js'
import { imageOf, publishNode, recordOf, type NodesContext } from '../../nodes/context.js'
import { refuseTaken } from '../../nodes/new-record.js'
import { startAll } from '../../nodes/start-all.js'
import { createDriveFile, discardDriveFile, driveSidecarPath } from '../../storage/drive-files.js'
import { writeLayerSidecar } from '../../storage/layers.js'
import { discardOverlay } from '../../storage/overlays.js'
import { markDetached, removeSidecar, writeSidecar } from '../../storage/sidecars.js'
import { reserveSpace } from '../../storage/space.js'
import { fsyncDirectory } from '../../system/durable-file.js'
import { workerIdentity } from '../../system/identity.js'
import { readQcow2Header } from '../../system/qcow2.js'
import type { BulkHandle } from '../../transactions/operations.js'
import type { Procedure } from '../../transactions/procedure.js'
import { bringDisk, renameBase, takeDiskBack } from './attach-disk.js'
import { attachIntentSchema, attachStaging, type AttachIntent } from './attach-intent.js'
import { inUse } from './attach-source.js'
import { lookAgain } from './attach-again.js'
import { namedFiles } from '../named-files.js'

/** Makes a node of a disk that lies there: the former one, whole, or one that a config describes. */
export function attachProcedure(context: NodesContext): Procedure<AttachIntent> {
  const { layout } = context
  return {
    kind: 'node.attach',
    intent: attachIntentSchema,
    resources: resourcesOf,
    around: (intent, work) => aroundAttach(context, intent, work),
    steps: [
      { title: 'Looking whether it is free', do: (intent) => lookAgain(context, intent) },
      {
        title: 'Bringing the disk to its place',
        do: (intent, op) => bringDisk(context, intent, op),
        undo: (intent) => takeDiskBack(layout, intent),
      },
      {
        title: 'Naming its base image',
        async do({ record, rebase }) {
          if (rebase) await renameBase(overlayFile(layout, record.id), rebase.to)
        },
        undo: async ({ record, rebase, way }) => {
          // A copy goes as a whole; what was there before has its old words again.
          if (rebase && way !== 'copy') await renameBack(overlayFile(layout, record.id), rebase)
        },
      },
      {
        title: 'Making its drives',
        do: (intent) => makeDrives(context, intent),
        async undo({ record, newDrives }) {
          for (const { id, file } of record.drives) if (newDrives.includes(id)) await discardDriveFile(layout, file)
        },
      },
      {
        title: 'Writing the records beside it',
        do: (intent) => writeRecords(context, intent),
        undo: (intent) => takeRecordsBack(context, intent),
      },
    ],
    commit: (draft, intent) => commitAttach(context, draft, intent),
    after: [
      { title: 'Showing the node', do: (intent, op) => showAttached(context, intent, op) },
      { title: 'Starting it', do: (intent, op) => startAttached(context, intent, op) },
    ],
  }
}

/** Begins it; back as soon as it has begun. */
export function beginAttach(context: NodesContext, intent: AttachIntent, request: Operation['request']): Operation {
  const { record } = intent
  const { operation } = context.transactions.run(attachProcedure(context), intent, {
    title: titleOf(intent),
    actor: intent.actor,
    target: { type: 'node', id: record.id },
    cancellable: intent.way === 'convert' || intent.way === 'copy',
    request,
    items: [{ id: record.id, name: record.name }],
  })
  return operation
}

export function titleOf({ way, shown, record }: AttachIntent): string {
  return way === 'fresh' ? `Create ${record.name} from its configuration` : `Attach ${shown} as ${record.name}`
}

function resourcesOf({ record, shown, layers, way, id }: AttachIntent): Operation['resources'] {
  const finalPath = overlayApiPath(record.overlayFile)
  return [
    { type: 'disk', id: way === 'keep' || way === 'rename' ? shown : finalPath, finalPath },
    { type: 'record', id: record.id },
    ...layers.map((layer) => ({ type: 'layer' as const, id: overlayApiPath(layer.file) })),
    ...(way === 'convert' || way === 'copy' ? [{ type: 'folder' as const, id: `/overlays/.staging/${id}` }] : []),
    ...record.drives.map(({ file }) => ({
      type: 'drive' as const,
      id: file.includes('/') ? file : overlayApiPath(file),
    })),
  ]
}

/** Alone with the file, and with room for a copy. */
async function aroundAttach(context: NodesContext, intent: AttachIntent, work: () => Promise<void>): Promise<void> {
  const { record, path, id, needBytes, shown } = intent
  const action = `attach ${record.name} (${id.slice(0, 8)})`
  const what = `attach ${shown}`
  const withRoom = () => reserveSpace([{ path: context.layout.overlays, bytes: needBytes }], what, work)
  await onlyOne(context, path || id, action, withRoom)
}

/** One action at a time on a disk file that no node has. Throws `busy`. */
export async function onlyOne(
  { locks }: NodesContext,
  path: string,
  action: string,
  work: () => Promise<void>,
): Promise<void> {
  const held = locks.busy(`file ${path}`)
  if (held !== undefined) {
    throw new SandlabError('busy', `The disk is busy: "${held}" is under way.`, {
      hint: 'Wait until it is done, then look again.',
      details: { action: held },
    })
  }
  await locks.run(`file ${path}`, action, work)
}

async function renameBack(path: string, { from, to }: { from: string; to: string }): Promise<void> {
  const header = await readQcow2Header(path).catch(() => null) // not there any more, or never was
  if (header?.backingFile === to) await renameBase(path, from)
}

async function makeDrives({ layout }: NodesContext, { record, newDrives }: AttachIntent): Promise<void> {
  for (const drive of record.drives) {
    if (!newDrives.includes(drive.id)) continue
    const { file, sizeBytes: virtualSizeBytes } = drive
    await createDriveFile({ layout, file, virtualSizeBytes, backingFile: null, owner: workerIdentity() })
  }
}

async function writeRecords({ layout }: NodesContext, { record, layers, snapshots }: AttachIntent): Promise<void> {
  for (const layer of layers) {
    const keeping = snapshots.filter(({ disks }) => disks.some(({ layerId }) => layerId === layer.id))
    await writeLayerSidecar(layout, layer, { nodeName: record.name, snapshots: keeping })
  }
  await writeSidecar(layout, record)
}

async function takeRecordsBack({ layout }: NodesContext, { record, former, way }: AttachIntent): Promise<void> {
  if (former) return markDetached(layout, former)
  if (way === 'keep' || way === 'rename') return removeSidecar(layout, record.id)
  return discardOverlay(layout, record.id)
}

/** What may have changed since we looked. */
function commitAttach(context: NodesContext, draft: LabState, intent: AttachIntent): void {
  const { record, shown, layers, snapshots, way } = intent
  refuseTaken(draft, record.name, record.ownerId)
  if (!draft.images.some(({ id }) => id === record.imageId)) {
    throw new SandlabError('base_missing', `The base image ${record.imageId} was deleted meanwhile.`, {
      hint: 'Import it again, then attach again. Nothing was changed.',
    })
  }
  const holder = way === 'layer' ? undefined : namedFiles(draft, context.layout).get(shown)
  if (holder !== undefined) throw inUse(shown, `it belongs to ${holder} by now`)
  if (draft.nodes.some(({ id, mac }) => id === record.id || mac === record.mac)) {
    throw new SandlabError('busy', `Could not attach ${record.name}: its network address is taken. Try again.`)
  }
  draft.layers.push(...layers.filter((layer) => !draft.layers.some(({ id }) => id === layer.id)))
  draft.snapshots.push(...snapshots.filter((one) => !draft.snapshots.some(({ id }) => id === one.id)))
  draft.nodes.push(record)
}

async function showAttached(context: NodesContext, intent: AttachIntent, op: BulkHandle): Promise<void> {
  const { layout } = context
  await rm(attachStaging(layout, intent), { recursive: true, force: true })
  for (const { file } of intent.record.drives) {
    const sidecar = driveSidecarPath(layout, file)
    if (sidecar !== undefined) await rm(sidecar, { force: true }) // it has a node again
  }
  await fsyncDirectory(layout.overlays)
  for (const warning of intent.warnings) op.log(warning)
  if (intent.way === 'convert' || intent.way === 'copy') op.log(`${intent.shown} was copied; it is as it was.`)
  context.bus.publish('storage', 'orphans', null)
  if (!context.store.data.nodes.some(({ id }) => id === intent.record.id)) return
  const record = recordOf(context, intent.record.id)
  await context.observations.inspectStorage(record, imageOf(context, record.imageId))
  publishNode(context, record.id)
}

async function startAttached(context: NodesContext, intent: AttachIntent, op: BulkHandle): Promise<void> {
  if (!intent.start) op.item(0, { state: 'succeeded' })
  else if (context.transactions.recovery !== null) await startAll(context, [intent.record], op, intent.actor)
  else op.log('SandLabX ended before it was started: start it yourself.')
}
