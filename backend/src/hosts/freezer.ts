import { lstat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { NodeId } from '../domain/ids.js'
import { overlayFile } from '../domain/layout.js'
import { errnoOf } from '../system/durable-file.js'
import { QmpError } from '../system/qmp.js'
import { commitOffline } from './commit-offline.js'
import { putLayer } from './disk-graph.js'
import { EngineError } from './engine.js'
import type { FrozenDisk } from './engine-disks.js'
import { qmpFailure } from './guest-input.js'
import { engineErrorOf } from './jobs.js'
import { flushAhead, hasLayer, listLayers, makeLayerFile, removeLayerFile } from './live-layer.js'
import { nodeAtRest, type EngineContext, type Run } from './run.js'
import { pathInQemu } from './run-paths.js'
import { copyLayerBack, finishTakeBack } from './take-back.js'

/** Frozen disks of running nodes; what QEMU and the files say counts, what is remembered here is only who asked. */
export interface Freezer {
  /** Call alone on the node. */
  freeze(run: Run, key: string): Promise<FrozenDisk>
  /**
   * Before a start, or a removal: what an earlier freeze left beside the disk goes into it. Call alone on a node without
   * a process.
   */
  makeWhole(id: NodeId): Promise<void>
  /** Before the disk gets a new layer for good: throws as `requireThawed`, and makes up for a release that failed. */
  requireWhole(run: Run): Promise<void>
  /** Throws `conflict` while somebody still reads the frozen disk. */
  requireThawed(id: NodeId): void
}

/** Runs work alone on its node, after what is under way. */
export type Alone = <T>(id: NodeId, work: () => Promise<T>) => Promise<T>

interface Freeze {
  key: string
  disk: FrozenDisk
}

/** For QEMU to end once it hangs up. */
const END_MS = 5000

export function createFreezer(context: EngineContext, alone: Alone): Freezer {
  const freezes = new Map<NodeId, Freeze>()
  const requireThawed = (id: NodeId) => {
    if (freezes.has(id)) throw new EngineError('conflict', 'Not now: its disk is being copied.', { retry: true })
  }
  const requireWhole = async (run: Run) => {
    requireThawed(run.id)
    // A release that failed (the host's disk was full) is made up for.
    if (await hasLayer(context.layout, run.id)) await takeBackNow(context, run)
  }
  return {
    requireThawed,
    requireWhole,
    async freeze(run, key) {
      const known = freezes.get(run.id)
      if (known?.key === key) return known.disk
      await requireWhole(run)
      await freezeNow(context, run)
      const freeze: Freeze = { key, disk: frozenDisk(context, run.id, () => release(freeze)) }
      freezes.set(run.id, freeze)
      return freeze.disk

      async function release(done: Freeze): Promise<void> {
        if (freezes.get(run.id) !== done) return
        await takeBack(context, run.id, alone)
        if (freezes.get(run.id) === done) freezes.delete(run.id)
      }
    },
    async makeWhole(id) {
      if (await hasLayer(context.layout, id)) await commitOffline(context, id)
    },
  }
}

/** At the start of the engine, for an adopted node: releases what the backend before had frozen. */
export async function takeBackNow(context: EngineContext, run: Run): Promise<void> {
  await copyLayerBack(context, run)
  await finishTakeBack(context, run)
}

/** At the start of the engine: the same for nodes without a process. What fails is told at the node's next start. */
export async function makeAllWhole(context: EngineContext): Promise<void> {
  for (const id of await listLayers(context.layout)) {
    if (context.live.has(id)) continue
    try {
      await commitOffline(context, id)
      context.log.info({ nodeId: id }, "a guest's newest writes were put into its disk")
    } catch (error) {
      const { message } = engineErrorOf(error)
      context.log.error({ err: error, nodeId: id }, "a guest's newest writes are not in its disk yet; they are kept")
      context.settled.set(id, { ...(context.settled.get(id) ?? nodeAtRest(id, { phase: 'failed' })), reason: message })
    }
  }
}

function frozenDisk(context: EngineContext, id: NodeId, release: () => Promise<void>): FrozenDisk {
  let releasing: Promise<void> | undefined
  return {
    frozenFile: resolve(overlayFile(context.layout, id)),
    release() {
      releasing ??= release().finally(() => (releasing = undefined))
      return releasing
    },
  }
}

async function freezeNow(context: EngineContext, run: Run): Promise<void> {
  if (!run.qmp) throw new EngineError('host-unknown', 'QEMU does not answer.', { retry: true })
  const { uid, gid } = await lstat(overlayFile(context.layout, run.id))
  const owner = context.worker && { uid, gid } // the user that this QEMU was started as
  try {
    const file = await makeLayerFile(context.layout, run.id, owner)
    await flushAhead(overlayFile(context.layout, run.id))
    await putLayer(run.qmp, pathInQemu(context.dataDir, file))
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') await undoFreeze(context, run)
    throw engineErrorOf(qmpFailure('freeze its disk', error))
  }
}

/** A command that was not answered in time may have taken effect: QEMU is asked, and what it uses is never removed. */
async function undoFreeze(context: EngineContext, run: Run): Promise<void> {
  await takeBackNow(context, run).catch((error: unknown) => {
    context.log.warn({ err: error, nodeId: run.id }, 'a freeze that failed is undone at the next start or freeze')
  })
}

async function takeBack(context: EngineContext, id: NodeId, alone: Alone): Promise<void> {
  if (context.closed.aborted) throw new EngineError('lost', 'The engine was closed; the next one releases the disk.')
  const run = context.live.get(id)
  if (run) {
    try {
      await copyLayerBack(context, run)
      return await alone(id, () => finishTakeBack(context, run))
    } catch (error) {
      if (!(await hasEnded(context, run, error))) throw engineErrorOf(qmpFailure('release its disk', error))
    }
  }
  await alone(id, async () => {
    if (await hasLayer(context.layout, id)) await commitOffline(context, id)
    else await removeLayerFile(context.layout, id)
  })
}

/** Whether a failure has its cause in the end of the node. */
export async function hasEnded(context: EngineContext, run: Run, error: unknown): Promise<boolean> {
  if (context.closed.aborted) return false
  const hungUp = error instanceof QmpError && error.failure === 'closed'
  const over = new AbortController()
  if (hungUp || run.qmp === null) {
    const signal = AbortSignal.any([over.signal, context.closed])
    await Promise.race([run.ended, delay(END_MS, undefined, { signal }).catch(() => undefined)])
    over.abort()
  }
  return context.live.get(run.id) !== run
}
