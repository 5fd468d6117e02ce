import { z } from 'zod'
import { SandlabError } from '../domain/error.js'
import { overlayApiPath } from '../domain/layout.js'
import { MEMORY_KEPT_ASIDE, nodeRecordSchema, nodeRefuses, suspendedSchema, type NodeRecord } from '../domain/node.js'
import { writeSidecar } from '../storage/sidecars.js'
import { moveToTrash, trashIdOf } from '../storage/trash-store.js'
import type { Procedure } from '../transactions/procedure.js'
import { imageOf, publishNode, recordOf, viewNode, type Actor, type NodesContext } from './context.js'

const intentSchema = z.object({
  at: z.iso.datetime(),
  /** As it was: suspended. */
  record: nodeRecordSchema,
  suspended: suspendedSchema,
  /** Why it can't be used, as a sentence; null: somebody wished it away. */
  fault: z.string().nullable(),
  actorLogin: z.string(),
})
type DiscardIntent = z.infer<typeof intentSchema>

/** Puts a node's saved memory aside, in the trash; the node is then one that was switched off. */
export function discardMemoryProcedure(context: NodesContext): Procedure<DiscardIntent> {
  return {
    kind: 'node.discardMemory',
    intent: intentSchema,
    resources: ({ suspended }) => [{ type: 'memory', id: overlayApiPath(suspended.memoryFile) }],
    steps: [
      {
        title: 'Looking whether it is suspended',
        do: async ({ record, suspended }) => {
          if (recordOf(context, record.id).suspended?.memoryFile === suspended.memoryFile) return
          throw new SandlabError('wrong_status', `${record.name} is not suspended any more.`)
        },
      },
    ],
    commit(draft, { at, record: { id }, fault, actorLogin }) {
      const record = draft.nodes.find((node) => node.id === id)
      if (!record) return
      const text = fault === null ? 'Its saved memory was discarded.' : `${MEMORY_KEPT_ASIDE} ${fault}`.slice(0, 2000)
      record.suspended = null
      record.updatedAt = at
      record.lastExit = { at, how: 'forced', reason: text, serialTail: [] }
      const kind = fault === null ? ('changed' as const) : ('warning' as const)
      record.events = [{ at, kind, text, actorLogin }, ...record.events].slice(0, 100)
    },
    after: [
      {
        title: 'Moving the memory to the trash',
        async do({ at, record, suspended, actorLogin }, op) {
          await moveToTrash(context.layout, {
            kind: 'sandlabx-trash',
            schema: 1,
            id: trashIdOf(at, `${record.id}_memory`),
            at,
            reason: 'memory-discarded',
            title: `memory of ${record.name}`,
            ownerId: record.ownerId,
            actorLogin,
            operationId: op.id,
            node: record,
            layers: [],
            snapshots: [],
            drives: [],
            files: [{ name: suspended.memoryFile, was: suspended.memoryFile }],
          })
          context.bus.publish('storage', 'trash', null)
        },
      },
      {
        title: 'Writing the record beside its disk',
        async do({ record: { id } }) {
          const record = context.store.data.nodes.find((node) => node.id === id)
          if (!record) return
          await writeSidecar(context.layout, record)
          await context.observations.inspectStorage(record, imageOf(context, record.imageId))
          publishNode(context, id)
        },
      },
    ],
  }
}

/** Throws `not_found`, `wrong_status`, `busy`. */
export async function discardMemory(context: NodesContext, id: string, actor: Actor): Promise<NodeRecord> {
  const { id: nodeId } = recordOf(context, id)
  return context.locks.run(nodeId, 'discard its memory', async () => {
    const record = recordOf(context, nodeId)
    const refusal = nodeRefuses('discardMemory', viewNode(context, record).status)
    if (refusal !== undefined) throw new SandlabError('wrong_status', `${record.name}: ${refusal}`)
    return setMemoryAside(context, record, null, actor)
  })
}

/** For an action that has the node to itself. */
export async function setMemoryAside(
  context: NodesContext,
  record: NodeRecord,
  fault: string | null,
  actor: Actor,
): Promise<NodeRecord> {
  const { suspended } = record
  if (!suspended) return record
  const { result } = context.transactions.run(
    discardMemoryProcedure(context),
    { at: context.now().toISOString(), record, suspended, fault, actorLogin: actor.login },
    {
      title: `Discard the memory of ${record.name}`,
      actor: { id: actor.id, login: actor.login },
      target: { type: 'node', id: record.id },
      cancellable: false,
    },
  )
  await result
  return recordOf(context, record.id)
}
