import { rm, stat } from 'node:fs/promises'
import type { NodeId } from '../domain/ids.js'
import { errnoOf, fsyncDirectory } from '../system/durable-file.js'
import { EngineError, type SuspendResult } from './engine.js'
import { qmpFailure } from './guest-input.js'
import { engineErrorOf } from './jobs.js'
import { writeLaunchRecord } from './launch-record.js'
import { saveMemory } from './memory.js'
import { requireKnown, type EngineContext, type Run } from './run.js'
import { dropMemory, inOverlays, partOf } from './snapshot-files.js'
import { createGrace, stopRun } from './stop-ladder.js'
import { clientOf, hold, letGo } from './take-back.js'

/**
 * For `suspend` of the contract. Call alone on the node, whose disks are neither frozen nor merged.
 *
 * | step | memory file | QEMU | after a kill |
 * |---|---|---|---|
 * | noted in the launch record, guest held | | holds the guest | the guest goes on |
 * | written | `.part` | holds the guest | the part goes, the guest goes on |
 * | named, durable | whole | holds the guest | QEMU is ended |
 * | QEMU ended | whole | | suspended |
 *
 * QEMU flushes all disks when it holds the guest: they are durable before the memory has its name. From then on the guest
 * may only run again when the file is gone.
 */
export async function suspendRun(context: EngineContext, run: Run, memoryFile: string): Promise<SuspendResult> {
  const client = clientOf(run)
  if (run.phase !== 'running') throw new EngineError('conflict', 'Its guest does not run at this moment.')
  try {
    run.launch = { ...run.launch, saving: memoryFile } // kept with the note that it is held
    if (run.launch.held) await writeLaunchRecord(run.paths.launch, run.launch)
    await hold(run, client)
    if (!run.launch.held) throw new EngineError('conflict', 'Its guest was paused at this moment.', { retry: true })
    await saveMemory(context, run, client, memoryFile)
  } catch (error) {
    // Closed: the next engine finds the note, and does the same.
    if (!context.closed.aborted) await giveUp(context, run, memoryFile)
    throw engineErrorOf(qmpFailure('save its memory', error))
  }
  await endSaved(context, run)
  return resultOf(context, run.id, memoryFile)
}

/** For `suspendState` of the contract, and for what an engine finds at its start. Call alone on the node. */
export async function settleSuspend(context: EngineContext, id: NodeId, memoryFile: string): Promise<'none' | 'done'> {
  const run = context.live.get(id)
  const isWhole = (await lengthOf(inOverlays(context.layout, memoryFile))) !== undefined
  if (!run) {
    await rm(partOf(inOverlays(context.layout, memoryFile)), { force: true })
    return isWhole ? 'done' : 'none'
  }
  requireKnown(run)
  if (run.launch.saving === memoryFile && isWhole) {
    await endSaved(context, run)
    return 'done'
  }
  await goOnWithout(context, run, memoryFile)
  return 'none'
}

/** The node has ended, and its memory is whole. */
export async function resultOf(context: EngineContext, id: NodeId, memoryFile: string): Promise<SuspendResult> {
  const node = context.settled.get(id)
  const sizeBytes = await lengthOf(inOverlays(context.layout, memoryFile))
  if (node && sizeBytes !== undefined) return { node, sizeBytes }
  throw new EngineError('not-found', 'The node is not running.')
}

async function endSaved(context: EngineContext, run: Run): Promise<void> {
  await stopRun(context, run, createGrace(0))
}

async function giveUp(context: EngineContext, run: Run, memoryFile: string): Promise<void> {
  await goOnWithout(context, run, memoryFile).catch((error: unknown) => {
    context.log.warn({ err: error, nodeId: run.id }, 'a guest whose memory could not be saved does not go on yet')
  })
}

/** The file first, durably: memory that is older than the disks must never be loaded. */
async function goOnWithout(context: EngineContext, run: Run, memoryFile: string): Promise<void> {
  await dropMemory(context.layout, memoryFile)
  await fsyncDirectory(context.layout.overlays)
  run.launch = { ...run.launch, saving: null }
  await letGo(context, run, clientOf(run))
}

/** Undefined when there is none. */
async function lengthOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}
