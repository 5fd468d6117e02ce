import { mkdir, rename, rm } from 'node:fs/promises'
import { z } from 'zod'
import { SandlabError } from '../../domain/error.js'
import { chainOf, layerSchema } from '../../domain/layer.js'
import { layerFileName, overlayApiPath } from '../../domain/layout.js'
import { nodeRecordSchema, type NodeRecord } from '../../domain/node.js'
import type { Operation } from '../../domain/operation.js'
import { snapshotSchema, type RestoreSnapshot } from '../../domain/snapshot.js'
import type { LabState } from '../../domain/state.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { recordOf, type Actor, type NodesContext } from '../../nodes/context.js'
import { stopLocked } from '../../nodes/stop.js'
import { dropUnusedLayers, goneFrom } from '../../nodes/unused-layers.js'
import { makeFreshDisk } from '../../storage/layers.js'
import { measureSpace, noSpace, reserveSpace } from '../../storage/space.js'
import { moveToTrash, trashIdOf } from '../../storage/trash-store.js'
import { errnoOf, fsyncDirectory } from '../../system/durable-file.js'
import { workerIdentity } from '../../system/identity.js'
import { writeQcow2Overlay } from '../../system/qcow2-overlay.js'
import type { BulkHandle } from '../../transactions/operations.js'
import type { Procedure } from '../../transactions/procedure.js'
import { requireWholeChain } from '../chains.js'
import { keptLayers } from './layer-children.js'
import { diskPath, isSameBacking, ownDisk, standOn } from '../own-disks.js'
import { lookAgain } from './snapshot-flatten.js'
import { askerSchema, stagedDisk, stagingOf, takenDiskSchema } from './snapshot-intent.js'
import { layerTrashFiles } from './snapshot-trash.js'
import { refuseBusy, refuseStatus, refuseUnsettled, snapshotOfNode } from './snapshot-rules.js'
import { startAgain } from './snapshot-restart.js'

export const restoreIntentSchema = z.object({
  id: z.uuid(),
  at: z.iso.datetime(),
  /** As it was when it was asked for; what goes to the trash is this node's. */
  record: nodeRecordSchema,
  snapshot: snapshotSchema,
  /** `layerId`: what it will stand on; `diskBytes`: its size then. */
  disks: z.array(takenDiskSchema).min(1),
  /** Drives of the snapshot that the node no longer has. */
  leftOut: z.array(z.string()),
  /** Layers under its disks now: those that are of no use afterwards go with them. */
  layers: z.array(layerSchema),
  now: z.boolean(),
  /** Started again afterwards: it ran, or its memory was kept. */
  start: z.boolean(),
  resume: z.boolean(),
  needBytes: z.int().nonnegative(),
  actor: askerSchema,
  /** Found out by a step. */
  kept: z.array(layerSchema.shape.id),
})
export type RestoreIntent = z.infer<typeof restoreIntentSchema>

/** The node's disks become what they were; what is on them now goes to the trash. Id, addresses and links stay. */
export function restoreSnapshotProcedure(context: NodesContext): Procedure<RestoreIntent> {
  const { layout } = context
  return {
    kind: 'snapshot.restore',
    intent: restoreIntentSchema,
    resources: ({ disks, id }) => [
      ...disks.map(({ file }) => ({ type: 'trash' as const, id: overlayApiPath(file) })),
      { type: 'folder', id: `/overlays/.staging/${id}` },
    ],
    around: ({ record, snapshot, id }, work) =>
      context.locks.run(record.id, `restore snapshot ${snapshot.name} (${id.slice(0, 8)})`, work),
    steps: [
      { title: 'Looking at the snapshot', do: (intent) => requireRestorable(context, intent) },
      {
        title: 'Stopping the node',
        do: (intent, op) => stopForRestore(context, intent, op),
        // It stays stopped: nothing of it is lost.
      },
      {
        title: 'Making empty disks over the snapshot',
        async do(intent) {
          await refuseUnsettled(context, recordOf(context, intent.record.id))
          const needs = [{ path: layout.overlays, bytes: intent.needBytes }]
          await reserveSpace(needs, whatOf(intent), () => makeDisks(context, intent))
        },
        undo: (intent) => rm(stagingOf(layout, intent), { recursive: true, force: true }),
      },
    ],
    commit: (draft, intent) => commitRestore(draft, intent),
    after: [
      {
        title: 'Moving the present disks to the trash',
        async do(intent, op) {
          await swapDisks(context, intent, op.id)
          await lookAgain(context, intent.record.id)
        },
      },
      { title: 'Starting it again', do: (intent, op) => startAgain(context, intent, op) },
    ],
  }
}

/** Back as soon as it has begun. Throws `not_found`, `wrong_status`, `chain_broken`, `no_space`, `busy`. */
export async function restoreSnapshot(
  context: NodesContext,
  id: string,
  snapshotId: string,
  request: RestoreSnapshot,
  actor: Actor,
): Promise<{ operation: Operation; result: Promise<void> }> {
  const earlier = context.transactions.earlier(actor)
  if (earlier) return earlier
  const record = recordOf(context, id)
  refuseBusy(context, [record.id])
  const intent = prepareRestore(context, record, snapshotId, request, actor)
  for (const { layerId } of intent.disks) {
    await requireWholeChain(context, { imageId: record.imageId, backing: { kind: 'layer', layerId } })
  }
  const [space] = await measureSpace([{ path: context.layout.overlays, bytes: intent.needBytes }])
  if (space && space.freeUpBytes > 0) throw noSpace(space, whatOf(intent))
  return context.transactions.run(restoreSnapshotProcedure(context), intent, {
    title: titleOf(intent),
    actor,
    target: { type: 'node', id: record.id },
    cancellable: false,
    request: actor.request ?? null,
  })
}

/** Changes nothing. Throws `not_found`, `wrong_status`, `chain_broken`. */
export function prepareRestore(
  context: NodesContext,
  record: NodeRecord,
  snapshotId: string,
  { drives, now }: RestoreSnapshot,
  actor: Actor,
): RestoreIntent {
  const { data } = context.store
  const snapshot = snapshotOfNode(data, record, snapshotId)
  refuseStatus(context, record, 'reset')
  const unknown = drives?.find((driveId) => !snapshot.disks.some((disk) => disk.driveId === driveId))
  if (unknown !== undefined) {
    throw new SandlabError('not_found', `The snapshot ${snapshot.name} has no disk ${unknown}.`, {
      hint: `It has ${snapshot.disks.map(({ driveId }) => driveId).join(', ')}.`,
    })
  }
  const asked = snapshot.disks.filter(({ driveId }) => drives?.includes(driveId) ?? true)
  const disks = asked.flatMap(({ driveId, layerId }) => {
    const disk = ownDisk(record, driveId)
    const layer = data.layers.find((one) => one.id === layerId)
    if (disk && !layer) {
      throw new SandlabError(
        'chain_broken',
        `The snapshot ${snapshot.name} can't be restored: its layer has no record.`,
        {
          hint: 'Nothing was changed. `sandlabx storage verify` says what is missing.',
        },
      )
    }
    return disk && layer ? [{ ...disk, diskBytes: layer.diskBytes, layerId }] : []
  })
  if (disks.length === 0) {
    throw new SandlabError('not_found', `${record.name} has none of the drives of ${snapshot.name} any more.`)
  }
  const resume = snapshot.memory !== null && disks.length === snapshot.disks.length
  return {
    id: crypto.randomUUID(),
    at: context.now().toISOString(),
    record,
    snapshot,
    disks,
    leftOut: asked.map(({ driveId }) => driveId).filter((id) => !disks.some(({ driveId }) => driveId === id)),
    layers: [...new Set(disks.flatMap(({ backing }) => chainOf(data.layers, backing).layers))],
    now,
    start: resume || isAlive(context, record),
    resume,
    needBytes: disks.length * context.rules.growthReserveBytes,
    actor: { id: actor.id, login: actor.login },
    kept: [],
  }
}

export function titleOf({ record, snapshot }: Pick<RestoreIntent, 'record' | 'snapshot'>): string {
  return `Restore ${record.name} to snapshot ${snapshot.name}`
}

/** Completes "Could not …". */
export function whatOf({ record, snapshot }: Pick<RestoreIntent, 'record' | 'snapshot'>): string {
  return `restore ${record.name} to the snapshot ${snapshot.name}`
}

async function requireRestorable(context: NodesContext, intent: RestoreIntent): Promise<void> {
  const { id } = intent.record
  context.observations.setEngine(await context.engine.inspect(id))
  const record = recordOf(context, id)
  refuseStatus(context, record, 'reset')
  requireSame(record, intent)
  for (const { layerId } of intent.disks) {
    await requireWholeChain(context, { imageId: record.imageId, backing: { kind: 'layer', layerId } })
  }
  intent.kept = await keptLayers(context)
}

async function stopForRestore(context: NodesContext, intent: RestoreIntent, op: BulkHandle): Promise<void> {
  const record = recordOf(context, intent.record.id)
  if (!isAlive(context, record)) return
  op.log(`Stopping ${record.name}${intent.now ? '' : ' as by the button'}; it is started again afterwards.`)
  await stopLocked(context, record, intent.now, intent.actor)
}

async function makeDisks({ layout }: NodesContext, intent: RestoreIntent): Promise<void> {
  for (const { driveId, file, layerId, diskBytes } of intent.disks) {
    const staging = stagedDisk(layout, intent, driveId)
    const fresh = { staging, backingFile: layerFileName(layerId), virtualSizeBytes: diskBytes }
    await makeFreshDisk({ ...fresh, like: diskPath(layout, { file }) }).catch(async (error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw error
      // Its disk is missing: this is how it comes back. Its start gives it to its user.
      await mkdir(stagingOf(layout, intent), { recursive: true, mode: 0o700 })
      await writeQcow2Overlay(staging, fresh, { owner: workerIdentity() })
    })
  }
}

function commitRestore(draft: LabState, intent: RestoreIntent): void {
  const { snapshot, disks, at, actor, layers, kept, resume } = intent
  const record = draft.nodes.find(({ id }) => id === intent.record.id)
  if (!record || !draft.snapshots.some(({ id }) => id === snapshot.id)) {
    throw new SandlabError('not_found', `${snapshot.name} of ${intent.record.name} was deleted meanwhile.`)
  }
  requireSame(record, intent)
  for (const { driveId, layerId, diskBytes } of disks) standOn(record, driveId, { kind: 'layer', layerId }, diskBytes)
  if (resume)
    Object.assign(record, { cpus: snapshot.cpus, memoryMib: snapshot.memoryMib, agent: snapshot.agent ?? false })
  record.updatedAt = at
  const text = `Restored to the snapshot ${snapshot.name}. What was on its disks is in the trash.`
  record.events = [{ at, kind: 'changed' as const, text, actorLogin: actor.login }, ...record.events].slice(0, 100)
  dropUnusedLayers(
    draft,
    layers.map(({ id }) => id),
    kept,
  )
}

function requireSame(record: NodeRecord, { disks, record: before }: RestoreIntent): void {
  for (const { driveId, backing, file } of disks) {
    const now = ownDisk(record, driveId)
    if (now && now.file === file && isSameBacking(now.backing, backing)) continue
    throw new SandlabError('busy', `The disks of ${before.name} have changed at this moment. Try again.`, {
      hint: 'Nothing was changed.',
    })
  }
}

/** The entry first, then the present disks move in; then the fresh ones have their names. May be called again. */
async function swapDisks(context: NodesContext, intent: RestoreIntent, operationId: Operation['id']): Promise<void> {
  const { layout, store } = context
  const { record, snapshot, disks, layers, at, actor, id } = intent
  const gone = goneFrom(
    store.data,
    layers.map((layer) => layer.id),
  )
  const goneLayers = layers.filter((layer) => gone.includes(layer.id))
  await moveToTrash(layout, {
    kind: 'sandlabx-trash',
    schema: 1,
    id: trashIdOf(at, record.id),
    at,
    reason: 'restored',
    title: `disks of ${record.name} before ${snapshot.name} was restored`,
    ownerId: record.ownerId,
    actorLogin: actor.login,
    operationId,
    node: record,
    layers: goneLayers,
    snapshots: [],
    drives: record.drives.filter((drive) => disks.some(({ driveId }) => driveId === drive.id)),
    files: [...disks.map(({ file }) => ({ name: file, was: file })), ...layerTrashFiles(goneLayers)],
  })
  for (const { driveId, file } of disks) {
    await rename(stagedDisk(layout, intent, driveId), diskPath(layout, { file })).catch((error: unknown) => {
      if (errnoOf(error) !== 'ENOENT') throw error // it has its name already
    })
  }
  await fsyncDirectory(layout.overlays)
  await rm(stagingOf(layout, { id }), { recursive: true, force: true })
  context.bus.publish('storage', 'trash', null)
}
