import { stat } from 'node:fs/promises'
import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { nodeIdSchema } from '../domain/ids.js'
import { overlayApiPath, suspendedFileName } from '../domain/layout.js'
import { nodeRefuses, suspendedSchema, type NodeRecord, type Suspended } from '../domain/node.js'
import type { LabState } from '../domain/state.js'
import { formatBytes, MIB } from '../domain/units.js'
import { writeSidecar } from '../storage/sidecars.js'
import { measureSpace, noSpace, reserveSpace } from '../storage/space.js'
import type { Procedure } from '../transactions/procedure.js'
import { imageOf, publishNode, recordOf, viewNode, type Actor, type NodesContext } from './context.js'
import { engineFailure } from './engine-failure.js'
import { recordEnd } from './reconcile.js'
import { keepLastScreen } from './screen.js'
import { marksOf } from './suspended-disks.js'

/** QEMU's own books beside a guest's memory: devices, the screen. Bytes. */
const MACHINE_BYTES = 64 * MIB

const suspendIntentSchema = z.object({
  /** The engine's key, and part of the file's name. */
  id: z.uuid(),
  at: z.iso.datetime(),
  nodeId: nodeIdSchema,
  nodeName: z.string(),
  memoryFile: z.string(),
  /** Bytes in `overlays/`, without margin. */
  needBytes: z.int().nonnegative(),
  why: suspendedSchema.shape.why,
  actorLogin: z.string().nullable(),
  /** Found out by a step. */
  saved: suspendedSchema.nullable(),
})
type SuspendIntent = z.infer<typeof suspendIntentSchema>

/** What a suspend may write to the disk, without margin. Pure. */
export function memoryBytes({ memoryMib }: Pick<NodeRecord, 'memoryMib'>): number {
  return memoryMib * MIB + MACHINE_BYTES
}

/**
 * Saves a running guest's memory and ends its machine; its next start goes on from there. Once the machine has ended
 * there is no way back: then what is undone is only the request, and the node is suspended.
 */
export function suspendProcedure(context: NodesContext): Procedure<SuspendIntent> {
  return {
    kind: 'node.suspend',
    intent: suspendIntentSchema,
    resources: ({ memoryFile }) => [{ type: 'memory', id: overlayApiPath(memoryFile) }],
    around: ({ nodeId }, work) =>
      context.locks.run(nodeId, 'suspend', async () => {
        try {
          await work()
        } finally {
          context.observations.setTransition(nodeId, undefined)
          publishNode(context, nodeId)
        }
      }),
    steps: [
      { title: 'Looking whether it runs', do: async ({ nodeId }) => refuseStill(context, recordOf(context, nodeId)) },
      {
        title: 'Saving its memory',
        async do(intent) {
          context.observations.setTransition(intent.nodeId, 'suspending')
          publishNode(context, intent.nodeId)
          await keepLastScreen(context, intent.nodeId)
          const needs = [{ path: context.layout.overlays, bytes: intent.needBytes }]
          await reserveSpace(needs, `suspend ${intent.nodeName}`, () => saveMemory(context, intent))
        },
        undo: (intent) => settle(context, intent),
      },
    ],
    commit: (draft, intent) => commitSuspend(draft, intent),
    after: [
      {
        title: 'Writing the record beside its disk',
        async do({ nodeId }) {
          const record = context.store.data.nodes.find(({ id }) => id === nodeId)
          if (!record) return
          await writeSidecar(context.layout, record)
          await context.observations.inspectStorage(record, imageOf(context, record.imageId))
        },
      },
    ],
  }
}

/** Done when its memory is on the disk. Throws `not_found`, `wrong_status`, `busy`, `no_space`, `unsupported`, `engine_failed`. */
export async function suspendNode(
  context: NodesContext,
  id: string,
  why: Suspended['why'],
  actor: Actor,
): Promise<NodeRecord> {
  const record = recordOf(context, id)
  refuseStill(context, record)
  const needBytes = memoryBytes(record)
  const [space] = await measureSpace([{ path: context.layout.overlays, bytes: needBytes }])
  if (space && space.freeUpBytes > 0) throw noSpace(space, `suspend ${record.name}`)
  const suspendId = crypto.randomUUID()
  const intent: SuspendIntent = {
    id: suspendId,
    at: context.now().toISOString(),
    nodeId: record.id,
    nodeName: record.name,
    memoryFile: suspendedFileName(suspendId),
    needBytes,
    why,
    actorLogin: actor.login,
    saved: null,
  }
  const { result } = context.transactions.run(suspendProcedure(context), intent, {
    title: `Suspend ${record.name}`,
    actor,
    target: { type: 'node', id: record.id },
    cancellable: false,
  })
  await result
  return recordOf(context, record.id)
}

function refuseStill(context: NodesContext, record: NodeRecord): void {
  const refusal = nodeRefuses('suspend', viewNode(context, record).status)
  if (refusal !== undefined) throw new SandlabError('wrong_status', `${record.name}: ${refusal}`)
  if (viewNode(context, record).drivesPending) {
    throw new SandlabError('wrong_status', `${record.name}: its drives were changed since it was started.`, {
      hint: 'Its memory would not fit them. Stop it instead; its next start has them.',
    })
  }
  if (context.engine.capabilities.suspend) return
  throw new SandlabError('unsupported', 'This engine can not save the memory of a node.', { hint: 'Stop it instead.' })
}

async function saveMemory(context: NodesContext, intent: SuspendIntent): Promise<void> {
  const { id, nodeId, memoryFile, nodeName } = intent
  const { node, sizeBytes } = await context.engine
    .suspend(nodeId, { key: id, memoryFile })
    .wait()
    .catch((error: unknown) => {
      throw engineFailure(error, `Could not suspend ${nodeName}`)
    })
  context.observations.setEngine(node)
  intent.saved = await suspendedOf(context, intent, sizeBytes)
}

async function suspendedOf(context: NodesContext, intent: SuspendIntent, sizeBytes?: number): Promise<Suspended> {
  const { nodeId, memoryFile, at, why } = intent
  const length = sizeBytes ?? (await stat(`${context.layout.overlays}/${memoryFile}`)).size
  return { memoryFile, sizeBytes: length, at, why, disks: await marksOf(context.layout, recordOf(context, nodeId)) }
}

function commitSuspend(draft: LabState, intent: SuspendIntent): void {
  const { nodeId, saved, at, actorLogin, nodeName, why } = intent
  const record = draft.nodes.find(({ id }) => id === nodeId)
  if (!record || !saved) throw new SandlabError('not_found', `${nodeName} was deleted meanwhile.`)
  record.suspended = saved
  record.desired = 'stopped'
  record.updatedAt = at
  const told = why === 'stop' ? ', because SandLabX was told to end' : ''
  const text = `Suspended${told}: ${formatBytes(saved.sizeBytes)} of memory are kept.`
  record.events = [{ at, kind: 'suspended' as const, text, actorLogin }, ...record.events].slice(0, 100)
}

/** What has happened is what counts: the guest goes on, it is suspended all the same, or it has ended. */
async function settle(context: NodesContext, intent: SuspendIntent): Promise<void> {
  const record = context.store.data.nodes.find(({ id }) => id === intent.nodeId)
  const state = await context.engine.suspendState(intent.nodeId, { memoryFile: intent.memoryFile })
  const node = await context.engine.inspect(intent.nodeId)
  if (!record) return
  context.observations.setEngine(node)
  if (state === 'done') {
    const saved = await suspendedOf(context, intent)
    await context.store.change((draft) => commitSuspend(draft, { ...intent, saved }))
    await writeSidecar(context.layout, recordOf(context, record.id))
    return
  }
  const hasEnded = ['stopped', 'failed', 'absent'].includes(node.phase)
  // At the start of SandLabX whoever compares wishes with what runs tells it.
  if (!hasEnded || record.desired !== 'running' || context.transactions.recovery === null) return
  await recordEnd(context, record, node)
}
