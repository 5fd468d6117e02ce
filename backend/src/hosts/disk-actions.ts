import type { NodeId } from '../domain/ids.js'
import type { SuspendResult } from './engine.js'
import type { FrozenDisk, MergeRequest, SnapshotRequest, SnapshotResult } from './engine-disks.js'
import { createFreezer, type Alone, type Freezer } from './freezer.js'
import { qmpFailure } from './guest-input.js'
import { engineErrorOf } from './jobs.js'
import { createMerges } from './merge-down.js'
import { liveRun, type EngineContext, type Run } from './run.js'
import { settleSnapshot, takeSnapshot } from './snapshot-disks.js'
import type { SnapshotFiles } from './snapshot-files.js'
import { resultOf, settleSuspend, suspendRun } from './suspend-memory.js'
import { clientOf, hold } from './take-back.js'

/** What is done with the disks of nodes that run. All throw EngineError. */
export interface DiskActions {
  freeze(id: NodeId, key: string): Promise<FrozenDisk>
  snapshot(id: NodeId, request: SnapshotRequest): Promise<SnapshotResult>
  settleSnapshot(id: NodeId, request: SnapshotFiles): Promise<'none' | 'done'>
  merge(id: NodeId, request: MergeRequest): Promise<void>
  /** A node that is suspended into this file already is a success. */
  suspend(id: NodeId, memoryFile: string): Promise<SuspendResult>
  settleSuspend(id: NodeId, memoryFile: string): Promise<'none' | 'done'>
  standStill(id: NodeId): Promise<void>
}

/** Turns on a node. */
export interface Turns {
  alone: Alone
  /** The same, on a node that runs and is not being stopped. */
  running<T>(id: NodeId, work: (run: Run) => Promise<T>): Promise<T>
}

/** A frozen disk, a snapshot and a merge exclude each other; only a merge goes on beside other actions on its node. */
export function createDiskActions(context: EngineContext, turns: Turns): DiskActions & { freezer: Freezer } {
  const freezer = createFreezer(context, turns.alone)
  const merges = createMerges(context, turns.alone)
  return {
    freezer,
    freeze: (id, key) =>
      turns.running(id, async (run) => {
        await merges.requireNone(run)
        return freezer.freeze(run, key)
      }),
    snapshot: (id, request) =>
      turns.running(id, async (run) => {
        await freezer.requireWhole(run)
        await merges.requireNone(run)
        return takeSnapshot(context, run, request)
      }),
    settleSnapshot: (id, request) =>
      turns
        .alone(id, () => settleSnapshot(context, id, request))
        .catch((error: unknown) => {
          throw engineErrorOf(qmpFailure('look at its disks', error))
        }),
    async suspend(id, memoryFile) {
      if (!context.live.has(id)) return resultOf(context, id, memoryFile)
      return turns.running(id, async (run) => {
        await freezer.requireWhole(run)
        await merges.requireNone(run)
        return suspendRun(context, run, memoryFile)
      })
    },
    settleSuspend: (id, memoryFile) =>
      turns
        .alone(id, () => settleSuspend(context, id, memoryFile))
        .catch((error: unknown) => {
          throw engineErrorOf(qmpFailure('look at its memory', error))
        }),
    standStill: (id) =>
      turns
        .running(id, (run) => hold(run, clientOf(run)))
        .catch((error: unknown) => {
          throw engineErrorOf(qmpFailure('hold it', error))
        }),
    merge: async (id, request) => merges.merge(liveRun(context, id), request, () => freezer.requireThawed(id)),
  }
}
