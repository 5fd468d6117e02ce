import type { Operation } from '../domain/operation.js'
import { createLimiter } from '../system/limiter.js'
import { errorOf } from './operation-record.js'
import type { BulkHandle, Operations } from './operations.js'
import { keyReused, type Requester } from './transactions.js'

/** What is said while the work goes on, and how much of it at the same time. */
export interface EachByItself {
  title: string
  atOnce: number
}

/**
 * A bulk operation that goes on after failures: each thing in a transaction of its own, each failure told with its item.
 * Answers with the failures; what succeeded stays. `work` says itself when its item has succeeded. Rejects when the
 * operation is cancelled: no other is begun then.
 */
export async function eachByItself<T>(
  all: readonly T[],
  { title, atOnce }: EachByItself,
  op: BulkHandle,
  work: (one: T, index: number) => Promise<void>,
): Promise<unknown[]> {
  const limiter = createLimiter(atOnce)
  const failures: unknown[] = []
  let done = 0
  op.step(title, 0)
  await Promise.all(
    all.map((one, index) =>
      limiter.run(async () => {
        if (op.signal.aborted) return
        op.item(index, { state: 'running' })
        await work(one, index).catch((error: unknown) => {
          op.item(index, { state: 'failed', error: errorOf(error) })
          failures.push(error)
        })
        done += 1
        op.step(title, done / all.length)
      }),
    ),
  )
  op.signal.throwIfAborted()
  return failures
}

/**
 * The same request before: under way, or ended by itself; undefined for a new one, and for one that was cut short, which
 * is done again. Throws `key_reused` when it was something else.
 */
export function earlierBulk(operations: Operations, { id, request }: Requester): Operation | undefined {
  if (!request) return undefined
  const known = operations.list().find((one) => one.request?.key === request.key && one.actorId === id)
  if (!known || known.state === 'lost' || known.state === 'cancelled') return undefined
  if (known.request?.hash !== request.hash) throw keyReused(known)
  return known
}
