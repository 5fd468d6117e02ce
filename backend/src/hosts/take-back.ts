import { liveLayerFile, overlayFile } from '../domain/layout.js'
import type { QmpClient } from '../system/qmp.js'
import { statusAnswerSchema } from '../system/qmp-messages.js'
import { observe } from './attach.js'
import { copyBack, dropLayer, holdGuest, returnToOverlay, writesTo } from './disk-graph.js'
import { EngineError } from './engine.js'
import { writeLaunchRecord } from './launch-record.js'
import { flushAhead, removeLayerFile } from './live-layer.js'
import { endSaving } from './memory.js'
import type { EngineContext, Run } from './run.js'

/** First part of a release, while the guest runs and may be stopped by anybody: the layer's content into the overlay. */
export async function copyLayerBack(context: EngineContext, run: Run): Promise<void> {
  const client = clientOf(run)
  if ((await writesTo(client)) === 'layer') await copyBack(client, context.closed)
}

/**
 * Second part, alone on its node: the guest is held for a moment, writes to its overlay again, and the layer's file goes.
 *
 * The guest must not run between the return to the overlay and the end of the file: if QEMU and we died there after one
 * more write, the file would stand for newer content than the overlay's, and be written over it.
 */
export async function finishTakeBack(context: EngineContext, run: Run): Promise<void> {
  const client = clientOf(run)
  let heldAt = performance.now()
  if ((await writesTo(client)) === 'layer') {
    await flushAhead(liveLayerFile(context.layout, run.id))
    await flushAhead(overlayFile(context.layout, run.id))
    heldAt = performance.now()
    await hold(run, client)
    try {
      await returnToOverlay(client, context.closed)
    } catch (error) {
      if ((await writesTo(client)) === 'layer') await letGo(context, run, client) // as before: its newest writes are in the file
      throw error
    }
  }
  await removeLayerFile(context.layout, run.id)
  await letGo(context, run, client)
  context.log.debug({ nodeId: run.id, heldMs: performance.now() - heldAt }, 'the guest writes to its own disk again')
  await dropLayer(client)
}

/** Noted first, so that a backend that finds the guest paused knows that it was us. */
export async function hold(run: Run, client: QmpClient): Promise<void> {
  const { running } = await client.execute('query-status', statusAnswerSchema)
  if (!running) return
  run.launch = { ...run.launch, held: true }
  await writeLaunchRecord(run.paths.launch, run.launch)
  await holdGuest(client)
}

export async function letGo(context: EngineContext, run: Run, client: QmpClient): Promise<void> {
  if (!run.launch.held) return
  await endSaving(client)
  await client.run('cont')
  run.launch = { ...run.launch, held: false }
  await writeLaunchRecord(run.paths.launch, run.launch)
  await observe(context, run, client)
}

export function clientOf(run: Run): QmpClient {
  if (!run.qmp) throw new EngineError('host-unknown', 'QEMU does not answer.', { retry: true })
  return run.qmp
}
