import { randomUUID } from 'node:crypto'
import { isSandlabError, SandlabError } from '../../domain/error.js'
import type { OperationId } from '../../domain/ids.js'
import type { NodeRecord } from '../../domain/node.js'
import type { Operation } from '../../domain/operation.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { recordOf, type Actor, type NodesContext } from '../../nodes/context.js'
import { startNode } from '../../nodes/start.js'
import { requireSpace } from '../../storage/space.js'
import { createLimiter } from '../../system/limiter.js'
import { earlierBulk, eachByItself } from '../../transactions/each-by-itself.js'
import { errorOf } from '../../transactions/operation-record.js'
import type { BulkHandle } from '../../transactions/operations.js'
import { FRESH_BYTES, resetProcedure, whatOf } from './reset.js'
import { prepareNode, type ResetHow, type ResetIntent, type ResetNode } from './reset-intent.js'

/** Transactions of a reset that goes on after failures, at the same time. */
const AT_ONCE = 4

export interface ResetRequest extends ResetHow {
  /** Each node by itself; otherwise all or none. */
  keepGoing: boolean
}

/**
 * Begins to reset nodes; back as soon as it has begun. A request that came before with the same key is answered with what
 * it began. Throws `not_found`, `wrong_status`, `busy`, `base_missing`, `storage_not_found`, `no_space`, `key_reused`.
 */
export async function beginReset(
  context: NodesContext,
  ids: readonly string[],
  request: ResetRequest,
  actor: Actor,
): Promise<Operation> {
  if (request.keepGoing && ids.length > 1) return beginEach(context, ids, request, actor)
  const earlier = context.transactions.earlier(actor)
  if (earlier) return earlier.operation
  const { operation } = await runReset(context, ids, request, actor, null)
  return operation
}

async function runReset(
  context: NodesContext,
  ids: readonly string[],
  how: ResetHow,
  actor: Actor,
  undoneWith: OperationId | null,
): Promise<{ operation: Operation; result: Promise<void> }> {
  const at = context.now().toISOString()
  const nodes = await prepareAll(context, ids, how, at)
  const need = { path: context.layout.overlays, bytes: nodes.length * FRESH_BYTES }
  await requireSpace({ ...need, what: whatOf(nodes) })
  const intent: ResetIntent = {
    id: randomUUID(),
    at,
    nodes,
    snapshot: how.snapshot ?? null,
    now: how.now,
    actor: { id: actor.id, login: actor.login },
    undoneWith,
    keptLayers: [],
  }
  const [first] = nodes
  const begun = context.transactions.run(resetProcedure(context), intent, {
    title: titleOf(nodes.map(({ record }) => record)),
    actor,
    target: nodes.length === 1 && first ? { type: 'node', id: first.record.id } : null,
    cancellable: nodes.length > 1,
    request: actor.request ?? null,
    items: nodes.map(({ record }) => ({ id: record.id, name: record.name })),
  })
  const result = begun.result.catch((error: unknown) => {
    startStopped(context, nodes, actor)
    throw error
  })
  result.catch(() => undefined) // the operation itself carries the failure
  return { operation: begun.operation, result }
}

export async function prepareAll(
  context: NodesContext,
  ids: readonly string[],
  how: ResetHow,
  at: string,
): Promise<ResetNode[]> {
  const limiter = createLimiter(8)
  return Promise.all(ids.map((id) => limiter.run(() => prepareNode(context, id, how, at))))
}

export function titleOf(records: readonly Pick<NodeRecord, 'name'>[]): string {
  return records.length === 1 ? `Reset ${records[0]?.name}` : `Reset ${records.length} nodes`
}

/** Nothing came of it: guests that were shut down for it run again. */
function startStopped(context: NodesContext, nodes: readonly ResetNode[], actor: Actor): void {
  for (const { record, running } of nodes) {
    const now = context.store.data.nodes.find(({ id }) => id === record.id)
    if (!running || !now || isAlive(context, now)) continue
    try {
      const about = {
        kind: 'node.start' as const,
        title: `Start ${now.name} again: it was not reset`,
        actor,
        target: { type: 'node' as const, id: now.id },
        cancellable: false,
      }
      context.operations.start(about, () => startNode(context, now.id, actor)).result.catch(() => undefined)
    } catch (error) {
      context.log.warn({ err: error, nodeId: now.id }, 'a node that was not reset stays stopped')
    }
  }
}

function beginEach(context: NodesContext, ids: readonly string[], how: ResetHow, actor: Actor): Operation {
  const earlier = earlierBulk(context.operations, actor)
  if (earlier) return earlier
  const records = ids.map((id) => recordOf(context, id))
  const { operation, result } = context.operations.start(
    {
      kind: 'node.reset',
      title: titleOf(records),
      actor,
      target: null,
      cancellable: true,
      items: records.map(({ id, name }) => ({ id, name })),
      request: actor.request ?? null,
    },
    (op) => resetEach(context, records, how, actor, op),
  )
  result.catch(() => undefined) // the operation itself carries the failure
  return operation
}

/** Each in a transaction of its own. Rejects when one could not be reset; those that were reset stay so. */
async function resetEach(
  context: NodesContext,
  records: readonly NodeRecord[],
  how: ResetHow,
  actor: Actor,
  op: BulkHandle,
): Promise<void> {
  const work = { title: 'Resetting the nodes', atOnce: AT_ONCE }
  const failures = await eachByItself(records, work, op, async ({ id }, index) => {
    const part = await runReset(context, [id], how, { ...actor, request: null }, op.id)
    await part.result
    op.item(index, { state: 'succeeded' })
  })
  if (failures.length > 0) throw notAll(records.length, failures)
}

function notAll(asked: number, failures: readonly unknown[]): SandlabError {
  const made = asked - failures.length
  const first = errorOf(failures[0])
  return new SandlabError(
    isSandlabError(failures[0]) ? failures[0].code : 'internal',
    `${made === 0 ? 'None' : made} of ${asked} nodes could be reset. ${first?.message ?? ''}`,
    { hint: first?.hint, cause: new AggregateError(failures) },
  )
}
