import { endingOf, SUSPENDED } from './endings.js'
import { writeLaunchRecord, type LaunchRecord } from './launch-record.js'
import { nodeOfEnd, type EngineContext, type Run } from './run.js'
import { tidyRunDir } from './run-dir.js'
import { readLogTail } from './run-logs.js'
import type { RunPaths } from './run-paths.js'

/**
 * Takes down that a run's process has ended: the reason, the tidy folder, the listeners. Only the first call counts.
 * Never rejects: what the disk refuses is logged, the end is told all the same.
 */
export async function finishRun(context: EngineContext, run: Run): Promise<void> {
  if (run.ending || context.closed.aborted) return
  run.ending = true
  run.qmp?.close()
  const log = await readLogTail(run.paths.qemuLog, 16 * 1024).catch(() => Buffer.alloc(0))
  // Ended by us once its memory was whole; before that an end is what it always is.
  const isSuspended = run.launch.saving !== null && run.rung !== null
  const ending = isSuspended ? SUSPENDED : endingOf(run, log.toString('utf8'))
  const ended = { at: new Date().toISOString(), ...ending }
  run.launch = { ...run.launch, ended }
  await context.housing.clear(run)
  await putAway(context, run.paths, run.launch)
  const node = nodeOfEnd(run.launch)
  context.live.delete(run.id)
  context.settled.set(run.id, node)
  run.resolveEnded(node)
  context.emit(node)
}

/** Records an end in the run's folder and removes what only a living process needs. */
export async function putAway(context: EngineContext, paths: RunPaths, launch: LaunchRecord): Promise<void> {
  try {
    await writeLaunchRecord(paths.launch, launch)
    await tidyRunDir(paths)
  } catch (error) {
    context.log.warn({ err: error, nodeId: launch.id }, "an ended node's folder could not be put in order")
  }
}
