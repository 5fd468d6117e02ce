import type { OperationHandle } from '../transactions/operations.js'

/** An operation seen by a part of its work: the part's 0 to 1 is `from` to `to` of the whole. */
export function portionOf(op: OperationHandle, from: number, to: number): OperationHandle {
  return {
    id: op.id,
    signal: op.signal,
    step: (text, progress) => op.step(text, typeof progress === 'number' ? from + (to - from) * progress : progress),
    bytes: (done, total) => op.bytes(done, total),
    log: (text) => op.log(text),
  }
}
