import type { NodeRecord } from '../domain/node.js'
import { createLimiter } from '../system/limiter.js'
import { errorOf } from '../transactions/operation-record.js'
import type { BulkHandle } from '../transactions/operations.js'
import { publishNode, type Actor, type NodesContext } from './context.js'
import { startNode } from './start.js'

/** Looks at disks beside each other; how many guests boot at once is the start's own matter. */
const AT_ONCE = 8

/** Starts the nodes of a bulk operation, several at a time. Never throws: a failure is told with its item. */
export async function startAll(
  context: NodesContext,
  records: readonly NodeRecord[],
  op: BulkHandle,
  actor: Actor,
): Promise<void> {
  for (const { id } of records) publishNode(context, id)
  const limiter = createLimiter(AT_ONCE)
  let done = 0
  await Promise.all(
    records.map((record, index) =>
      limiter.run(async () => {
        await startItem(context, record, index, op, actor)
        done += 1
        op.step(`Starting them`, done / records.length)
      }),
    ),
  )
}

/** Starts one that has just been made. */
export async function startItem(
  context: NodesContext,
  { id, name }: Pick<NodeRecord, 'id' | 'name'>,
  index: number,
  op: BulkHandle,
  actor: Actor,
): Promise<void> {
  try {
    await startNode(context, id, actor)
    op.item(index, { state: 'succeeded' })
  } catch (error) {
    op.item(index, { state: 'failed', error: errorOf(error) })
    op.log(`${name} was made, but could not be started.`)
  }
}
