import { rm } from 'node:fs/promises'
import { SandlabError } from '../../domain/error.js'
import { memoryFileName, overlayApiPath } from '../../domain/layout.js'
import type { Operation } from '../../domain/operation.js'
import type { CreateSnapshot, Snapshot } from '../../domain/snapshot.js'
import type { NodeRecord } from '../../domain/node.js'
import type { LabState } from '../../domain/state.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { imageOf, recordOf, type Actor, type NodesContext } from '../../nodes/context.js'
import { layerProgress } from '../../storage/layers.js'
import { measureSpace, noSpace, reserveSpace } from '../../storage/space.js'
import { anyProcedure, type AnyProcedure, type Procedure } from '../../transactions/procedure.js'
import { requireWholeChain, writeLayerRecords } from '../chains.js'
import { isSameBacking, ownDisk, standOn } from '../own-disks.js'
import { flattenDeep, lookAgain } from './snapshot-flatten.js'
import { createIntentSchema, stagingOf, type CreateIntent } from './snapshot-intent.js'
import { prepareSnapshot, titleOf, warningsOf, whatOf } from './snapshot-prepare.js'
import { refuseBusy, refuseManySnapshots, refuseSnapshotName, refuseStatus, refuseUnsettled } from './snapshot-rules.js'
import { takeBackDisks, takeDisks } from './snapshot-take.js'

/**
 * Keeps a node's disks as they are now. Of a stopped node it is taken back after a kill; of a running one the disks may
 * have been frozen already, so that it goes on.
 */
export function createSnapshotProcedure(context: NodesContext): Procedure<CreateIntent> {
  return {
    kind: 'snapshot.create',
    intent: createIntentSchema,
    resources: (intent) => [
      { type: 'snapshot', id: intent.snapshotId },
      ...intent.disks.map(({ layerId }) => ({ type: 'layer' as const, id: layerId })),
      ...(intent.memory ? [{ type: 'memory' as const, id: overlayApiPath(memoryFileName(intent.snapshotId)) }] : []),
    ],
    around: (intent, work) => aroundSnapshot(context, intent, work),
    steps: [
      {
        title: 'Looking at the disks',
        do: (intent) => requireTakeable(context, intent),
      },
      {
        title: 'Freezing the disks',
        async do(intent, op) {
          for (const warning of warningsOf(recordOf(context, intent.nodeId), intent)) op.log(warning)
          const needs = [{ path: context.layout.overlays, bytes: intent.needBytes }]
          await reserveSpace(needs, whatOf(intent), () => takeDisks(context, intent, op))
        },
        undo: (intent) => takeBackDisks(context, intent),
      },
    ],
    commit: (draft, intent) => commitSnapshot(context, draft, intent),
    after: [
      {
        title: 'Writing the records beside the disks',
        async do(intent) {
          await writeLayerRecords(
            context,
            intent.disks.map(({ layerId }) => layerId),
          )
          await rm(stagingOf(context.layout, intent), { recursive: true, force: true })
          await lookAgain(context, intent.nodeId)
        },
      },
    ],
  }
}

/** For the table of all procedures: whether one goes on after a kill is its own matter. */
export function anySnapshotProcedure(context: NodesContext): AnyProcedure {
  const procedure = createSnapshotProcedure(context)
  return {
    kind: procedure.kind,
    bind: (intent) => anyProcedure({ ...procedure, resumable: createIntentSchema.parse(intent).live }).bind(intent),
  }
}

/**
 * Begins to take one; back as soon as it has begun. A request that came before with the same key is answered with what
 * it began. Throws `not_found`, `wrong_status`, `name_taken`, `quota_reached`, `no_space`, `unsupported`, `busy`.
 */
export async function createSnapshot(
  context: NodesContext,
  id: string,
  request: CreateSnapshot,
  actor: Actor,
  automatic: Snapshot['automatic'] = null,
): Promise<{ operation: Operation; result: Promise<void> }> {
  const earlier = context.transactions.earlier(actor)
  if (earlier) return earlier
  const record = recordOf(context, id)
  refuseBusy(context, [record.id])
  const intent = await prepareSnapshot(context, id, request, actor, automatic)
  const [space] = await measureSpace([{ path: context.layout.overlays, bytes: intent.needBytes }])
  if (space && space.freeUpBytes > 0) throw noSpace(space, whatOf(intent))
  return context.transactions.run({ ...createSnapshotProcedure(context), resumable: intent.live }, intent, {
    title: titleOf(record, request),
    actor,
    target: { type: 'node', id: record.id },
    cancellable: false,
    request: actor.request ?? null,
  })
}

/** What is too deep is shortened first, as an operation of its own; then alone on the node. */
async function aroundSnapshot(context: NodesContext, intent: CreateIntent, work: () => Promise<void>): Promise<void> {
  const { nodeId, disks, actor, name } = intent
  const driveIds = disks.map(({ driveId }) => driveId)
  const action = `snapshot ${name} (${intent.id.slice(0, 8)})`
  if (!(await isBegun(context, intent))) {
    await flattenDeep(context, nodeId, driveIds, actor)
    const record = recordOf(context, nodeId)
    for (const disk of disks) disk.backing = ownDisk(record, disk.driveId)?.backing ?? disk.backing
  }
  await context.locks.run(nodeId, action, work)
}

/** By a process that was killed. */
async function isBegun({ layout }: NodesContext, { disks }: CreateIntent): Promise<boolean> {
  const progress = await Promise.all(disks.map(({ file, layerId }) => layerProgress(layout, file, layerId)))
  return progress.some((one) => one !== 'absent')
}

async function requireTakeable(context: NodesContext, intent: CreateIntent): Promise<void> {
  // Asked now: after a restart it may run and nobody has looked yet.
  context.observations.setEngine(await context.engine.inspect(intent.nodeId))
  const record = recordOf(context, intent.nodeId)
  if (await isBegun(context, intent)) return
  refuseStatus(context, record, 'snapshot')
  if (isAlive(context, record) !== intent.live) throw changed(intent)
  await refuseUnsettled(context, record)
  for (const disk of intent.disks) {
    const now = ownDisk(record, disk.driveId)
    if (!now || now.file !== disk.file || !isSameBacking(now.backing, disk.backing)) throw changed(intent)
    await requireWholeChain(context, { imageId: record.imageId, backing: disk.backing })
  }
  const fault = await context.observations.inspectStorage(record, imageOf(context, record.imageId))
  if (fault === undefined) return
  throw new SandlabError('node_broken', `Could not ${whatOf(intent)}: ${fault}`, { hint: 'Nothing was changed.' })
}

/** What may have changed since we looked is looked at again. */
function commitSnapshot(context: NodesContext, draft: LabState, intent: CreateIntent): void {
  const { nodeId, disks, taken, at, actor, name } = intent
  const record = draft.nodes.find(({ id }) => id === nodeId)
  if (!record || !taken) throw new SandlabError('not_found', `${intent.nodeName} was deleted meanwhile.`)
  refuseSnapshotName(draft, record, name)
  if (intent.automatic === null) refuseManySnapshots(context, draft, record)
  for (const { driveId, backing, layerId } of disks) {
    const now = ownDisk(record, driveId)
    if (!now || !isSameBacking(now.backing, backing)) throw changed(intent)
    standOn(record, driveId, { kind: 'layer', layerId })
  }
  draft.layers.push(...taken.layers)
  draft.snapshots.push(snapshotOf(intent, taken, record))
  record.updatedAt = at
  const how = { stopped: '', live: ' while it ran', frozen: ' while it ran, frozen by its agent' }[taken.consistency]
  const text = `Snapshot ${name} taken${intent.live ? how : ''}${taken.memory ? ', with its memory' : ''}.`
  record.events = [{ at, kind: 'changed' as const, text, actorLogin: actor.login }, ...record.events].slice(0, 100)
}

function snapshotOf(
  intent: CreateIntent,
  { memory, consistency, operationId }: NonNullable<CreateIntent['taken']>,
  { cpus, memoryMib, agent }: Pick<NodeRecord, 'cpus' | 'memoryMib' | 'agent'>,
): Snapshot {
  const { snapshotId, nodeId, name, note, parentId, automatic, at, actor, disks } = intent
  return {
    id: snapshotId,
    nodeId,
    name,
    note,
    parentId,
    disks: disks.map(({ driveId, layerId }) => ({ driveId, layerId })),
    memory,
    consistency,
    automatic,
    cpus,
    memoryMib,
    agent,
    createdAt: at,
    actorLogin: actor.login,
    operationId,
  }
}

function changed({ nodeName }: CreateIntent): SandlabError {
  return new SandlabError('busy', `${nodeName} has changed at this moment. Try again.`, {
    hint: 'Nothing was changed.',
  })
}
