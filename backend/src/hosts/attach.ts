import {
  blockAnswerSchema,
  blockErrorEventSchema,
  nameAnswerSchema,
  shutdownEventSchema,
  statusAnswerSchema,
  uuidAnswerSchema,
  type QmpEvent,
} from '../system/qmp-messages.js'
import { connectQmp, type QmpClient } from '../system/qmp.js'
import { EngineError } from './engine.js'
import { diskErrorInBlocks, diskErrorOf, phaseOfStatus } from './machine-status.js'
import { machineName } from './machine.js'
import { nodeOfRun, type EngineContext, type Run } from './run.js'

/**
 * Connects to a run's QMP, and only then believes that the process is ours: its UUID is the node's and its name tells
 * the generation that was launched. Rejects with QmpError (`absent`, `silent`, …), or with EngineError `host-unknown`
 * when another machine answers; `run.qmp` is then unset.
 */
export async function attachQmp(context: EngineContext, run: Run): Promise<QmpClient> {
  const client = await connectQmp(run.paths.qmp, {
    timeoutMs: context.timings.qmpCommand,
    onEvent: (event) => onQmpEvent(context, run, event),
  })
  try {
    await requireOurs(run, client)
  } catch (error) {
    client.close()
    throw error
  }
  run.qmp = client
  run.misses = 0
  return client
}

async function requireOurs(run: Run, client: QmpClient): Promise<void> {
  const [{ UUID }, { name }] = await Promise.all([
    client.execute('query-uuid', uuidAnswerSchema),
    client.execute('query-name', nameAnswerSchema),
  ])
  const expected = machineName({ id: run.id, generation: run.launch.generation })
  if (UUID === run.id && name === expected) return
  throw new EngineError('host-unknown', `Another machine answers in its place: ${UUID} (${name ?? 'no name'}).`)
}

/** Asks QEMU what the guest does and notes it; tells the listeners when that is news. Rejects with QmpError. */
export async function observe(context: EngineContext, run: Run, client: QmpClient): Promise<void> {
  const { status } = await client.execute('query-status', statusAnswerSchema)
  if (status === 'io-error') {
    run.diskError ??= diskErrorInBlocks(await client.execute('query-block', blockAnswerSchema))
  }
  run.misses = 0
  const seen = phaseOfStatus(status, run.diskError)
  setPhase(context, run, seen.phase, seen.reason)
}

/** While a stop is under way the node is shown as stopping, whatever QEMU says. */
export function setPhase(context: EngineContext, run: Run, phase: Run['phase'], reason: string | null): void {
  if (run.ending || (run.launch.held && phase === 'paused')) return // held by us, for a moment
  const shown = run.rung !== null && phase !== 'unknown' ? 'stopping' : phase
  if (run.phase === shown && run.reason === reason) return
  const starting = run.phase === 'starting'
  run.phase = shown
  run.reason = reason
  // What a start or stop of ours does is told by its job.
  if (!starting && shown !== 'stopping') context.emit(nodeOfRun(run))
}

function onQmpEvent(context: EngineContext, run: Run, event: QmpEvent): void {
  if (event.event === 'SHUTDOWN') {
    const parsed = shutdownEventSchema.safeParse(event.data)
    if (parsed.success) run.shutdown = parsed.data
  } else if (event.event === 'BLOCK_IO_ERROR') {
    const parsed = blockErrorEventSchema.safeParse(event.data)
    // `action` is `stop` for our disks; a `report` leaves the guest running.
    if (parsed.success && parsed.data.action === 'stop') run.diskError = diskErrorOf(parsed.data)
  } else if (event.event === 'STOP' || event.event === 'RESUME') {
    if (event.event === 'RESUME') run.diskError = null
    if (run.phase !== 'starting') lookAgain(context, run) // a start looks by itself
  }
}

/** An event says that something changed; QEMU's status says what it is now. */
function lookAgain(context: EngineContext, run: Run): void {
  const client = run.qmp
  if (!client || run.ending) return
  observe(context, run, client).catch((error: unknown) => {
    context.log.debug({ err: error, nodeId: run.id }, 'QEMU did not say what it does; the next look will tell')
  })
}
