import { setTimeout as delay } from 'node:timers/promises'
import type { NodeId } from '../domain/ids.js'
import { QmpError } from '../system/qmp.js'
import { EngineError } from './engine.js'
import type { MergeRequest } from './engine-disks.js'
import { hasEnded, type Alone } from './freezer.js'
import { qmpFailure } from './guest-input.js'
import { engineErrorOf } from './jobs.js'
import { flushAhead } from './live-layer.js'
import {
  cancelMerges,
  diskPath,
  dropMerged,
  finalizeMerge,
  mergeJobOf,
  mergeJobs,
  standsOn,
  startMerge,
  type MergeJob,
} from './merge-job.js'
import type { EngineContext, Run } from './run.js'
import { clientOf } from './take-back.js'

/** Merges of running nodes, one at a time for each; what QEMU says counts, what is remembered is only who asked. */
export interface Merges {
  /** For `mergeDown` of the contract. `requireThawed` throws `conflict` while the node's disk is frozen. */
  merge(run: Run, request: MergeRequest, requireThawed: () => void): Promise<void>
  /** Throws `conflict` while one is under way; ends one that nobody waits for. Call alone on the node. */
  requireNone(run: Run): Promise<void>
}

interface Merge {
  name: string
  done: Promise<void>
}

/** A merge that has not come one byte further in this time is given up. */
const STALL_MS = 120_000

export function createMerges(context: EngineContext, alone: Alone): Merges {
  const merges = new Map<NodeId, Merge>()
  const requireOthersDone = (id: NodeId) => {
    if (merges.has(id)) throw new EngineError('conflict', 'Not now: its layers are being merged.', { retry: true })
  }
  return {
    async merge(run, request, requireThawed) {
      request.signal.throwIfAborted()
      const name = `${request.key} ${request.driveId}`
      const known = merges.get(run.id)
      if (known?.name === name) return known.done
      requireOthersDone(run.id)
      const merge = {
        name,
        done: mergeNow(context, alone, run, request, requireThawed).finally(() => {
          if (merges.get(run.id) === merge) merges.delete(run.id)
        }),
      }
      merges.set(run.id, merge)
      return merge.done
    },
    async requireNone(run) {
      requireOthersDone(run.id)
      await cancelMerges(clientOf(run))
    },
  }
}

async function mergeNow(
  context: EngineContext,
  alone: Alone,
  run: Run,
  request: MergeRequest,
  requireThawed: () => void,
): Promise<void> {
  try {
    const begun = await alone(run.id, async () => {
      requireThawed()
      const client = clientOf(run)
      const job = mergeJobOf(request)
      await cancelMerges(client, job)
      if ((await mergeJobs(client)).some(({ id }) => id === job)) return job // an earlier backend began it
      if (await standsOn(context, run, client, request)) return null
      await startMerge(run, client, job, request)
      return job
    })
    if (begun !== null) await follow(context, run, begun, request)
    // The header that no longer names the layers, before anybody removes them.
    await flushAhead(await diskPath(context, run, clientOf(run), request.driveId))
    await dropMerged(run, clientOf(run), request.driveId)
    if (begun === null) request.onProgress(1, 1)
  } catch (error) {
    if (request.signal.aborted && error === request.signal.reason) throw error
    if (context.closed.aborted) throw closedMeanwhile(error)
    if (await endedMeanwhile(context, run, error)) {
      throw new EngineError('not-found', 'The node ended before its layers were merged. Nothing is lost.', {
        cause: error,
      })
    }
    throw engineErrorOf(qmpFailure('merge its layers', error))
  }
}

async function endedMeanwhile(context: EngineContext, run: Run, error: unknown): Promise<boolean> {
  const silent = error instanceof QmpError && error.failure === 'closed'
  return (silent || run.qmp === null) && (await hasEnded(context, run, error))
}

/** Until the job is over and taken note of. */
async function follow(
  context: EngineContext,
  run: Run,
  id: string,
  { driveId, signal, onProgress }: MergeRequest,
): Promise<void> {
  let moved = -1
  let movedAt = performance.now()
  let cancelled = false
  for (let looks = 0; !context.closed.aborted; looks += 1) {
    const client = clientOf(run)
    const job = (await mergeJobs(client)).find((one) => one.id === id)
    if (!job) throw new EngineError('engine', 'QEMU has given up merging its layers.', { retry: true })
    if (job.status === 'concluded') {
      await client.run('job-dismiss', { id })
      if (job.error === undefined) return report(job, onProgress)
      signal.throwIfAborted()
      throw mergeFailure(job.error, cancelled)
    }
    report(job, onProgress)
    if (signal.aborted && !cancelled) {
      cancelled = true
      await client.run('job-cancel', { id })
    } else if (job.status === 'pending' && !cancelled) {
      await finalizeMerge(client, id, driveId)
    }
    if (job['current-progress'] !== moved) movedAt = performance.now()
    moved = job['current-progress']
    if (performance.now() - movedAt > STALL_MS && !cancelled) {
      cancelled = true
      await client.run('job-cancel', { id })
    }
    await delay(looks < 100 ? 5 : 50)
  }
  throw closedMeanwhile()
}

function closedMeanwhile(cause?: unknown): EngineError {
  return new EngineError('lost', 'The engine was closed; the merge goes on.', { retry: true, cause })
}

function report(job: MergeJob, onProgress: MergeRequest['onProgress']): void {
  onProgress(job['current-progress'], Math.max(job['total-progress'], job['current-progress']))
}

function mergeFailure(said: string, stalled: boolean): EngineError {
  if (stalled) return new EngineError('timeout', 'Merging its layers did not come any further.', { retry: true })
  const full = /No space left|Disk quota|File too large/.test(said)
  return new EngineError(
    full ? 'no-space' : 'engine',
    full
      ? "The host's disk is full: its layers could not be merged, and are as they were."
      : `Its layers could not be merged, and are as they were: ${said}.`,
    { retry: true },
  )
}
