import { statfs } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import type { QmpClient } from '../system/qmp.js'
import { attachQmp, observe, setPhase } from './attach.js'
import { EngineError } from './engine.js'
import { finishRun } from './finish.js'
import { DISK_FULL } from './machine-status.js'
import { isOnRecord } from './launch-record.js'
import type { EngineContext, Run } from './run.js'
import { rotateLog } from './run-logs.js'

/** After its connection closed, a process that is ending is gone within this time. */
const GONE_WITHIN_MS = 1000
/** Looks in a row without an answer before a node counts as unknown: one may hit a long flush of the disk. */
const MISSES_UNTIL_UNKNOWN = 2
/** A shutdown event may still be in the socket when the exit of the child is told. */
const LAST_WORDS_MS = 250

/** Follows a run from now on: its connection, and its end. Call once for each connection. */
export function watchConnection(context: EngineContext, run: Run): void {
  const client = run.qmp
  if (!client) return
  void follow(context, run, client)
}

async function follow(context: EngineContext, run: Run, client: QmpClient): Promise<void> {
  await client.closed
  if (run.qmp === client) run.qmp = null
  if (run.ending || context.closed.aborted) return
  await connectionLost(context, run).catch((error: unknown) => {
    context.log.error({ err: error, nodeId: run.id }, 'a node that hung up could not be looked at')
  })
}

/** For our own child: its exit code and signal, without which an end has no reason. */
export function watchChild(context: EngineContext, run: Run): void {
  run.child?.once('exit', (code, signal) => {
    run.exit = { code, signal }
    const lastWords = run.qmp ? Promise.race([run.qmp.closed, delay(LAST_WORDS_MS)]) : Promise.resolve()
    void lastWords.then(() => finishRun(context, run))
  })
}

/** Looks at every node at each interval, until the returned function is called. */
export function watchAll(context: EngineContext): () => void {
  const looking = new Set<Run>()
  const timer = setInterval(() => {
    for (const run of context.live.values()) {
      if (looking.has(run)) continue
      looking.add(run)
      void look(context, run)
        .catch((error: unknown) => context.log.error({ err: error, nodeId: run.id }, 'a node could not be looked at'))
        .finally(() => looking.delete(run))
    }
  }, context.timings.heartbeat)
  timer.unref()
  return () => clearInterval(timer)
}

async function look(context: EngineContext, run: Run): Promise<void> {
  if (run.ending || !isOnRecord(run.launch)) return
  // Our own child's end is told by its exit event, with the reason.
  if (!run.child && !(await context.housing.lives(run))) return finishRun(context, run)
  await answerOrMiss(context, run)
  if (run.reason === DISK_FULL && !run.launch.held && (await hasRoomAgain(context)))
    await run.qmp?.run('cont').catch(() => undefined)
  await rotateLog(run.paths.qemuLog) // a guest may find a warning that it can repeat
  const rotated = await rotateLog(run.paths.serialLog)
  if (rotated) context.log.debug({ nodeId: run.id }, 'the serial log was put aside')
}

async function answerOrMiss(context: EngineContext, run: Run): Promise<void> {
  try {
    if (!run.qmp && run.phase !== 'starting') {
      const client = await attachQmp(context, run)
      if (context.closed.aborted) return client.close()
      watchConnection(context, run)
    }
    if (run.qmp) await observe(context, run, run.qmp)
  } catch (error) {
    run.misses += 1
    const foreign = error instanceof EngineError
    if (!foreign && run.misses < MISSES_UNTIL_UNKNOWN) return
    setPhase(context, run, 'unknown', foreign ? error.message : SILENT)
  }
}

export const SILENT =
  'QEMU is alive but does not answer: it may be stopped (SIGSTOP), or hang in the disk. Nothing is done to it.'

async function connectionLost(context: EngineContext, run: Run): Promise<void> {
  if (!isOnRecord(run.launch)) return
  const deadline = performance.now() + GONE_WITHIN_MS
  while (performance.now() < deadline) {
    if (run.ending || run.exit || context.closed.aborted) return
    if (!run.child && !(await context.housing.lives(run))) return finishRun(context, run)
    await delay(20)
  }
  if (!run.ending) await answerOrMiss(context, run)
}

/** A twentieth of the disk, at most 256 MiB: with less the guest would only be paused again. */
async function hasRoomAgain(context: EngineContext): Promise<boolean> {
  const { bavail, blocks, bsize } = await statfs(context.layout.overlays)
  return bavail * bsize >= Math.min(blocks * bsize * 0.05, 256 * 1024 ** 2)
}
