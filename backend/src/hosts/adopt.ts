import { readdir } from 'node:fs/promises'
import { createLimiter } from '../system/limiter.js'
import { attachQmp, observe } from './attach.js'
import { EngineError } from './engine.js'
import { putAway } from './finish.js'
import { takeBackNow } from './freezer.js'
import { catchUp } from './guest-freeze.js'
import { readLaunchRecord, type LaunchRecord } from './launch-record.js'
import { hasLayer } from './live-layer.js'
import { createRun, nodeAtRest, nodeOfEnd, type EngineContext, type Run } from './run.js'
import { removeRunDir } from './run-dir.js'
import { newestLines, readLogTail } from './run-logs.js'
import { runPathsIn, runPathsOf, type RunPaths } from './run-paths.js'
import { settleSuspend } from './suspend-memory.js'
import { SILENT, watchConnection } from './watch.js'

const RUN_DIR = /^[0-9a-f]{12}$/
const GONE = /^[0-9a-f]{12}\.[0-9a-f]{8}\.gone$/

/**
 * At the start: what earlier backends left in `run/` becomes live, ended or unknown nodes.
 *
 * | launch record | process | QMP | the node is |
 * |---|---|---|---|
 * | ended | | | stopped or failed, as recorded |
 * | ours | gone, or another one has its pid | | ended while we were away |
 * | ours | pid, start time, program equal | UUID and generation equal | adopted |
 * | ours | the same | silent, or another machine | unknown; watched, never ended by us |
 * | none | none | | a left-over folder: removed |
 * | none | a QEMU | | left alone, and logged |
 */
export async function adoptAll(context: EngineContext): Promise<void> {
  const limiter = createLimiter(16)
  const names = await readdir(context.layout.run)
  await Promise.all(
    names.map((name) =>
      limiter.run(async () => {
        const dir = `${context.layout.run}/${name}`
        try {
          if (GONE.test(name)) await removeRunDir(runPathsIn(dir))
          else if (RUN_DIR.test(name)) await adoptOne(context, runPathsIn(dir))
        } catch (error) {
          context.log.error({ err: error, dir }, 'a folder of an earlier run could not be understood; left as it is')
        }
      }),
    ),
  )
}

async function adoptOne(context: EngineContext, paths: RunPaths): Promise<void> {
  const launch = await readLaunchRecord(paths.launch)
  if (!launch || runPathsOf(context.layout, launch.id).dir !== paths.dir) return clearUnknown(context, paths)
  if (launch.ended) return void context.settled.set(launch.id, nodeOfEnd(launch))
  const found = launch.bootId === context.bootId ? await context.housing.find(launch) : 'gone'
  if (found === 'gone') return settleEnded(context, paths, launch)
  if (found === 'never') {
    await removeRunDir(paths)
    return void context.settled.set(launch.id, nodeAtRest(launch.id, { phase: 'stopped' }))
  }
  const run = createRun(paths, found, null)
  context.live.set(run.id, run)
  await takeOver(context, run)
}

async function takeOver(context: EngineContext, run: Run): Promise<void> {
  try {
    const client = await attachQmp(context, run)
    watchConnection(context, run)
    await observe(context, run, client)
    // Killed between the start and `cont`: the guest is still held. Nobody was told that it runs; now it does.
    if (run.phase === 'starting' && !run.launch.stopAsked && !run.launch.waits && !run.launch.held) {
      await client.run('cont')
      await observe(context, run, client)
    }
    context.log.info({ nodeId: run.id, pid: run.launch.process?.pid }, 'adopted a running node')
    await thaw(context, run)
    if (run.launch.agentDue) void catchUp(context, run)
  } catch (error) {
    run.phase = 'unknown'
    run.reason = error instanceof EngineError ? error.message : SILENT
    context.log.warn({ err: error, nodeId: run.id, pid: run.launch.process?.pid }, 'a node does not answer; left alone')
  }
}

/** The backend before died while the node's disk was frozen: nobody reads it any more. */
async function thaw(context: EngineContext, run: Run): Promise<void> {
  if (run.launch.saving !== null) return settleSaving(context, run, run.launch.saving)
  if (!run.launch.held && !(await hasLayer(context.layout, run.id))) return
  try {
    await takeBackNow(context, run)
    context.log.info({ nodeId: run.id }, 'released the frozen disk of a running node')
  } catch (error) {
    context.log.error({ err: error, nodeId: run.id }, 'a frozen disk could not be released yet; nothing is lost')
  }
}

/** The backend before died while it saved the guest's memory. */
async function settleSaving(context: EngineContext, run: Run, memoryFile: string): Promise<void> {
  try {
    const state = await settleSuspend(context, run.id, memoryFile)
    const what =
      state === 'done' ? 'ended a node whose memory had been saved' : 'let a guest go on that was being saved'
    context.log.info({ nodeId: run.id }, what)
  } catch (error) {
    context.log.error(
      { err: error, nodeId: run.id },
      'a node that was being suspended does not go on yet; it is tried again',
    )
  }
}

async function settleEnded(context: EngineContext, paths: RunPaths, launch: LaunchRecord): Promise<void> {
  const rebooted = launch.bootId !== context.bootId
  const lastWords = newestLines((await readLogTail(paths.qemuLog, 16 * 1024)).toString('utf8'), 5)
  const why = rebooted
    ? 'The host was restarted while it ran.'
    : 'It ended while SandLabX was not running.' + (lastWords && ` QEMU's last lines:\n${lastWords}`)
  const ended: LaunchRecord['ended'] = {
    at: new Date().toISOString(),
    how: launch.stopAsked ? 'asked' : 'crashed',
    reason: launch.stopAsked ? 'It ended while SandLabX was not running, after it was asked to.' : why,
  }
  const record = { ...launch, ended }
  await context.housing.clear(launch)
  await putAway(context, paths, record)
  context.settled.set(launch.id, nodeOfEnd(record))
}

/** A folder without a record that fits it. Removed only when no process can be connected with it. */
async function clearUnknown(context: EngineContext, paths: RunPaths): Promise<void> {
  const stranger = await context.housing.findStrangerIn(paths.dir)
  if (stranger === undefined) return removeRunDir(paths)
  context.log.warn({ stranger, dir: paths.dir }, 'a QEMU runs that no record describes; left alone')
}
