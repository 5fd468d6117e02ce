import { randomUUID } from 'node:crypto'
import { chown } from 'node:fs/promises'
import { z } from 'zod'
import { driveIdSchema, driveRecordSchema, ROOT_DRIVE, type MoveDrive } from '../../domain/drive.js'
import { SandlabError } from '../../domain/error.js'
import { nodeIdSchema } from '../../domain/ids.js'
import type { OperationPlan } from '../../domain/plan.js'
import { snapshotsOf } from '../../domain/snapshot.js'
import { recordOf, viewNode, type Actor, type NodesContext } from '../../nodes/context.js'
import { diskOwner, driveApiPath, drivePath } from '../../storage/drive-files.js'
import { openPlain } from '../../storage/layers.js'
import { usedBytes } from '../../storage/overlays.js'
import { errnoOf } from '../../system/durable-file.js'
import type { Procedure } from '../../transactions/procedure.js'
import { about, appliesLater, changeNode, changeSchema, NEXT_START, planned, tellNode } from './drive-changes.js'
import { driveOf, refuseForRoot, requireFreeId } from './drive-rules.js'
import { aloneOnDrives } from './drive-turns.js'

const intentSchema = changeSchema.extend({
  driveId: driveIdSchema,
  toNodeId: nodeIdSchema,
  newId: driveIdSchema,
  /** As it was when it was asked for. */
  drive: driveRecordSchema,
})
type MoveIntent = z.infer<typeof intentSchema>

/** Gives a drive with what is on it to another node. Its file stays where it is; it changes its owner. */
export function moveDriveProcedure(context: NodesContext): Procedure<MoveIntent> {
  const { layout } = context
  return {
    kind: 'drive.move',
    intent: intentSchema,
    resources: ({ drive }) => [{ type: 'drive', id: driveApiPath(layout, drive) }],
    around: ({ nodeId, toNodeId, driveId, key }, work) =>
      aloneOnDrives(context, [nodeId, toNodeId], `move the drive ${driveId} (${key.slice(0, 8)})`, work),
    steps: [
      {
        title: 'Looking whether it is free',
        async do({ nodeId, driveId }) {
          context.observations.setEngine(await context.engine.inspect(nodeId))
          refuseInUse(context, nodeId, driveId)
        },
      },
    ],
    commit(draft, intent) {
      const { nodeId, toNodeId, driveId, newId, actorLogin } = intent
      const [from, to] = [nodeId, toNodeId].map((one) => draft.nodes.find(({ id }) => id === one))
      if (!from || !to) throw new SandlabError('not_found', 'One of the nodes was deleted meanwhile.')
      const drive = driveOf(from, driveId)
      requireFreeId(to, newId)
      changeNode(context, draft, { nodeId, actorLogin }, (node) => {
        node.drives = node.drives.filter(({ id }) => id !== driveId)
        return `Drive ${driveId} moved to ${to.name}.`
      })
      changeNode(context, draft, { nodeId: toNodeId, actorLogin }, (node) => {
        node.drives.push({ ...drive, id: newId, changedAt: context.now().toISOString() })
        return `Drive ${newId} came from ${from.name}${newId === driveId ? '' : `, where it was ${driveId}`}.`
      })
    },
    after: [
      {
        title: 'Giving the file to its new node',
        async do({ nodeId, toNodeId, drive }) {
          if (!drive.file.includes('/') && !drive.readOnly) await give(context, toNodeId, drivePath(layout, drive))
          await tellNode(context, nodeId)
          await tellNode(context, toNodeId)
        },
      },
    ],
  }
}

/** Throws `not_found`, `unsupported`, `bad_request`, `wrong_status` while the node that has it runs, `drive_exists`, `busy`. */
export async function moveDrive(
  context: NodesContext,
  nodeId: string,
  driveId: string,
  request: MoveDrive,
  actor: Actor,
): Promise<void> {
  const earlier = context.transactions.earlier(actor)
  if (earlier) return earlier.result
  const intent = prepare(context, nodeId, driveId, request, actor)
  const title = titleOf(context, nodeId, driveId, request)
  const { result } = context.transactions.run(moveDriveProcedure(context), intent, about(title, intent.nodeId, actor))
  await result
}

export async function planMoveDrive(
  context: NodesContext,
  nodeId: string,
  driveId: string,
  request: MoveDrive,
  actor: Actor,
): Promise<OperationPlan> {
  return planned('drive.move', titleOf(context, nodeId, driveId, request), async () => {
    const { drive, newId } = prepare(context, nodeId, driveId, request, actor)
    const [from, to] = [recordOf(context, nodeId), recordOf(context, request.toNodeId)]
    const kept = snapshotsOf(context.store.data, nodeId).filter(({ disks }) =>
      disks.some((disk) => disk.driveId === driveId),
    )
    const bytes = (await usedBytes(drivePath(context.layout, drive))) ?? 0
    const path = driveApiPath(context.layout, drive)
    return {
      steps: [`Take it off ${from.name}`, `Record it with ${to.name} as ${newId}`],
      files: [{ path, bytes, fate: `stays, and belongs to ${to.name}` }],
      warnings: [
        ...(appliesLater(context, to) ? [NEXT_START.replace('The node', to.name)] : []),
        ...(kept.length === 0
          ? []
          : [`Snapshots of ${from.name} keep what was on it: ${kept.map(({ name }) => name).join(', ')}.`]),
      ],
    }
  })
}

function prepare(context: NodesContext, nodeId: string, driveId: string, request: MoveDrive, actor: Actor): MoveIntent {
  const from = recordOf(context, nodeId)
  if (driveId === ROOT_DRIVE) refuseForRoot(from.name, 'moved')
  const drive = driveOf(from, driveId)
  const to = recordOf(context, request.toNodeId)
  if (to.id === from.id) {
    throw new SandlabError('bad_request', `${from.name} has the drive ${driveId} already.`, {
      hint: 'Name another node. Nothing was changed.',
    })
  }
  const newId = request.newId ?? driveId
  requireFreeId(to, newId)
  refuseInUse(context, nodeId, driveId)
  const at = context.now().toISOString()
  const change = { nodeId: from.id, at, actorLogin: actor.login, key: randomUUID() }
  return { ...change, driveId, toNodeId: to.id, newId, drive }
}

/** A guest may have it open: two of them would destroy what is on it. */
function refuseInUse(context: NodesContext, nodeId: string, driveId: string): void {
  const record = recordOf(context, nodeId)
  if (!appliesLater(context, record)) return
  const { status } = viewNode(context, record)
  throw new SandlabError('wrong_status', `${record.name} is ${status}: its guest may have the drive ${driveId} open.`, {
    hint: 'Stop it first, then move the drive. Nothing was changed.',
  })
}

async function give({ layout }: NodesContext, nodeId: string, path: string): Promise<void> {
  const owner = await diskOwner(layout, nodeId)
  if (!owner) return
  const file = await openPlain(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined // made again at the next start
    throw error
  })
  if (!file) return
  try {
    await chown(`/proc/self/fd/${file.fd}`, owner.uid, owner.gid)
  } finally {
    await file.close()
  }
}

function titleOf(context: NodesContext, nodeId: string, driveId: string, { toNodeId }: MoveDrive): string {
  const [from, to] = [recordOf(context, nodeId), recordOf(context, toNodeId)]
  return `Move the drive ${driveId} of ${from.name} to ${to.name}`
}
