import { isSandlabError, SandlabError } from '../domain/error.js'
import { expandNames } from '../domain/name-pattern.js'
import type { BatchCreate, CreateNode } from '../domain/node.js'
import type { Operation } from '../domain/operation.js'
import type { OperationPlan } from '../domain/plan.js'
import { requireSpace } from '../storage/space.js'
import { earlierBulk, eachByItself } from '../transactions/each-by-itself.js'
import { errorOf } from '../transactions/operation-record.js'
import type { BulkHandle } from '../transactions/operations.js'
import { type Actor, type NodesContext } from './context.js'
import {
  beginCreate,
  createNodes,
  entryOf,
  needsOf,
  planCreate,
  refusalOf,
  refuseRequests,
  titleOf,
  whatOf,
} from './create.js'
import { generatedPassword } from './new-record.js'
import { startItem } from './start-all.js'

/** Transactions of a batch that goes on after failures, at the same time. */
const AT_ONCE = 8

/** One request for each node that a batch asks for. Throws `bad_request` when it says neither or both ways which. */
export function requestsOf({ template, count, name, nodes }: BatchCreate): CreateNode[] {
  if (nodes && count === undefined && name === undefined) return nodes.map((node) => ({ ...template, ...node }))
  if (!nodes && count !== undefined && name !== undefined) {
    return expandNames(name, count).map((each) => ({ ...template, name: each }))
  }
  throw new SandlabError('bad_request', 'A batch needs either a count and a name, or a list of nodes.', {
    hint: 'Give count and name (like web-{n}), or nodes; not both.',
  })
}

/**
 * Begins to make nodes. All or none in one transaction, started afterwards when `template.start` says so; or with
 * `keepGoing` each in its own, and the operation fails when one could not be made, with the others there. Generated
 * passwords of guests wait in `context.guestPasswords` under the operation's id.
 *
 * Throws `bad_request`, `not_found`, `name_taken`, `disk_too_small`, `quota_reached`, `no_space`, `key_reused`.
 */
export async function beginBatch(context: NodesContext, batch: BatchCreate, actor: Actor): Promise<Operation> {
  const requests = requestsOf(batch)
  return batch.keepGoing ? beginEach(context, requests, actor) : beginAll(context, requests, actor)
}

/** What it would do, and whether it would be refused. */
export async function planBatch(context: NodesContext, batch: BatchCreate, actor: Actor): Promise<OperationPlan> {
  const requests = requestsOf(batch)
  const plan = await planCreate(context, requests, actor)
  if (batch.template.start) plan.steps.push('Start the nodes, several at a time')
  if (!batch.keepGoing || plan.refusal === null || plan.refusal.code === 'no_space') return plan
  const refused = requests.flatMap((request) => {
    const refusal = refusalOf(() => refuseRequests(context, [request], actor))
    return refusal ? [`${request.name} would not be made: ${refusal.message}`] : []
  })
  return {
    ...plan,
    warnings: [...plan.warnings, ...refused],
    refusal: refused.length < requests.length ? null : plan.refusal,
  }
}

async function beginAll(context: NodesContext, requests: CreateNode[], actor: Actor): Promise<Operation> {
  for (const need of needsOf(context, requests.length)) await requireSpace({ ...need, what: whatOf(requests) })
  const start = requests.some((request) => request.start)
  const { operation, passwordEntries, result } = await beginCreate(context, requests, actor, { start })
  context.guestPasswords.add(operation.id, passwordEntries)
  result.catch(() => context.guestPasswords.forget(operation.id)) // the operation itself carries the failure
  return operation
}

function beginEach(context: NodesContext, requests: CreateNode[], actor: Actor): Operation {
  const earlier = earlierBulk(context.operations, actor)
  if (earlier) {
    tellAgain(context, earlier, requests, actor)
    return earlier
  }
  const { operation, result } = context.operations.start(
    {
      kind: 'node.create',
      title: titleOf(requests),
      actor,
      target: null,
      cancellable: true,
      items: requests.map(({ name }) => ({ id: null, name })),
      request: actor.request ?? null,
    },
    (op) => makeEach(context, requests, actor, op),
  )
  result.catch(() => undefined) // the operation itself carries the failure
  return operation
}

/** Each in a transaction of its own. Rejects when one could not be made; those that were made stay. */
async function makeEach(
  context: NodesContext,
  requests: readonly CreateNode[],
  actor: Actor,
  op: BulkHandle,
): Promise<void> {
  const failures = await eachByItself(requests, { title: 'Making the nodes', atOnce: AT_ONCE }, op, (request, index) =>
    makeOne(context, request, index, actor, op),
  )
  if (failures.length > 0) throw notAll(requests.length, failures)
}

async function makeOne(
  context: NodesContext,
  request: CreateNode,
  index: number,
  actor: Actor,
  op: BulkHandle,
): Promise<void> {
  const { records, passwordEntries } = await createNodes(context, [request], partOf(actor, index))
  const [record] = records
  if (!record) throw new Error('a node was made and is not there')
  op.item(index, { id: record.id })
  context.guestPasswords.add(op.id, passwordEntries)
  if (request.start) await startItem(context, record, index, op, actor)
  else op.item(index, { state: 'succeeded' })
}

function notAll(asked: number, failures: readonly unknown[]): SandlabError {
  const made = asked - failures.length
  const first = errorOf(failures[0])
  const outcome = made === 0 ? 'None' : `${made}`
  const stays = made === 0 ? '' : made === 1 ? ' The one that was made stays.' : ' Those that were made stay.'
  return new SandlabError(
    isSandlabError(failures[0]) ? failures[0].code : 'internal',
    `${outcome} of ${asked} nodes could be made. ${first?.message ?? ''}${stays}`,
    {
      hint: first?.hint,
      cause: new AggregateError(failures),
    },
  )
}

/** Each node's own key: after a kill, a retry of the batch finds the nodes that were made already. */
function partOf(actor: Actor, index: number): Actor {
  return actor.request ? { ...actor, request: { ...actor.request, key: `${actor.request.key}#${index + 1}` } } : actor
}

/** After a restart the passwords are derived again. */
function tellAgain(context: NodesContext, { id, items }: Operation, requests: readonly CreateNode[], actor: Actor) {
  for (const [index, request] of requests.entries()) {
    const record = context.store.data.nodes.find((node) => node.id === items[index]?.id)
    const password = record && generatedPassword(context, request, partOf(actor, index))
    context.guestPasswords.add(id, entryOf(context, record, password ?? null))
  }
}
