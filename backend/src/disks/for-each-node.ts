import { createLimiter } from '../system/limiter.js'
import { errorOf } from '../transactions/operation-record.js'
import type { BulkHandle } from '../transactions/operations.js'

/** Disks that are worked on at the same time. */
const AT_ONCE = 8

/**
 * A few at a time; the first failure is thrown when those under way have ended, so that an undo finds them still. With
 * `op` the work stops when it is cancelled, and each failure is told with its item.
 */
export async function forEachNode<T>(
  all: readonly T[],
  op: BulkHandle | null,
  work: (one: T, index: number) => Promise<unknown>,
): Promise<void> {
  const limiter = createLimiter(AT_ONCE)
  let failed = false
  const results = await Promise.allSettled(
    all.map((one, index) =>
      limiter.run(async () => {
        if (op && (op.signal.aborted || failed)) throw op.signal.reason ?? new Error('another one failed')
        op?.item(index, { state: 'running' })
        try {
          await work(one, index)
        } catch (error) {
          failed = true
          op?.item(index, { state: 'failed', error: errorOf(error) })
          throw error
        }
      }),
    ),
  )
  const failure = results.find(({ status }) => status === 'rejected')
  if (failure?.status === 'rejected') throw failure.reason
}
