import { randomUUID } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { nodeRunDir, overlayFile, serialLog } from '../domain/layout.js'
import { nodeRefuses, type NodeRecord } from '../domain/node.js'
import { formatDuration } from '../domain/units.js'
import { measureSpace } from '../storage/space.js'
import { createLimiter } from '../system/limiter.js'
import { viewNode, type NodesContext } from './context.js'
import { inOrder, withoutRoom, withoutTime, type Waiting } from './on-stop-plan.js'
import { stopNode } from './stop.js'
import { memoryBytes, suspendNode } from './suspend.js'

/** What becomes of nodes that run when SandLabX is told to end. `keep`: they run on, and the next SandLabX adopts them. */
export type OnStop = 'suspend' | 'shutdown' | 'keep'

export interface OnStopOptions {
  /** For nodes that say nothing of their own. */
  onStop: OnStop
  /** What runs after this time is left as it is; milliseconds. */
  withinMs: number
}

export interface OnStopReport {
  suspended: string[]
  shutDown: string[]
  /** They run on, or are ended by whoever ends us. */
  left: string[]
}

interface Leaving extends Waiting {
  record: NodeRecord
}

/** How many guests are asked to shut down beside each other: they mostly wait. */
const SHUTDOWNS_AT_ONCE = 16
/** While one waits for its disk, two copy; more only make each one slower, and fewer are whole when time is up. */
const SUSPENDS_AT_ONCE = 3
const LOOK_MS = 250
/** For all to stand still; whoever does not by then goes on until its turn. */
const STILL_MS = 3000
const BUSY_LOOK_MS = 50
const BY_SYSTEM = { id: null, login: 'system' }

/**
 * Does with every running node what it says, or what holds for all. Memories are saved most lately used first; those for
 * which there is no room or no time, longest idle first, are shut down cleanly. Never throws; the log tells each one.
 */
export async function leaveNodes(context: NodesContext, options: OnStopOptions): Promise<OnStopReport> {
  const deadline = performance.now() + options.withinMs
  const running = context.store.data.nodes.filter((record) => runs(context, record))
  const wishOf = ({ onStop }: NodeRecord) => onStop ?? options.onStop
  const report: OnStopReport = { suspended: [], shutDown: [], left: [] }
  const leaving = running.filter((record) => wishOf(record) !== 'keep')
  if (leaving.length === 0) return { ...report, left: running.map(({ name }) => name) }
  context.log.info({ nodes: leaving.length, withinMs: options.withinMs }, 'saving what runs before SandLabX ends')

  const suspends = await waitingOf(
    context,
    leaving.filter((record) => wishOf(record) === 'suspend'),
  )
  const departure = createDeparture(context, report, deadline, leaving.length)
  for (const record of leaving) if (wishOf(record) === 'shutdown') departure.shutDown(record, 'as it is set')
  const noRoom = withoutRoom(suspends, await roomFor(context))
  for (const { record } of noRoom) departure.shutDown(record, 'there is no room for its memory')
  const toSave = suspends.filter((one) => !noRoom.includes(one))
  const still = Promise.all(toSave.map(({ record }) => holdStill(context, record)))
  await Promise.race([still, delay(STILL_MS, undefined, { ref: false })])
  const saved = departure.suspendAll(toSave)
  const over = new AbortController()
  const late = delay(Math.max(0, deadline - performance.now()), undefined, { signal: over.signal }).catch(
    () => undefined,
  )
  await Promise.race([saved.then(() => departure.settled()), late])
  over.abort()
  const left = context.store.data.nodes.filter((record) => runs(context, record))
  report.left = left.map(({ name }) => name)
  await Promise.all(left.filter(({ id }) => toSave.some((one) => one.id === id)).map((one) => goOn(context, one)))
  if (report.left.length > 0) context.log.warn({ nodes: report.left }, 'these nodes still run as SandLabX ends')
  return report
}

/**
 * All at one moment: those that wait for their turn take no time from those that are saved, and no guest sees another that
 * is gone already.
 */
async function holdStill(context: NodesContext, { id, name }: NodeRecord): Promise<void> {
  if (context.locks.busy(id) !== undefined) return // what is under way may need it
  await context.engine.standStill?.(id).catch((error: unknown) => {
    context.log.debug({ err: error, node: name }, 'a guest goes on until its memory is saved')
  })
}

/** One that is left runs on, where nobody ends it with us. */
async function goOn(context: NodesContext, { id, name }: NodeRecord): Promise<void> {
  if (!context.engine.standStill || context.locks.busy(id) !== undefined) return
  await context.engine
    .resume(id, { key: randomUUID() })
    .wait()
    .catch((error: unknown) => context.log.warn({ err: error, node: name }, 'a guest that is left stands still'))
}

interface Departure {
  shutDown(record: NodeRecord, why: string): void
  suspendAll(ordered: readonly Leaving[]): Promise<void>
  /** Resolves when all that was begun has ended. */
  settled(): Promise<void>
}

function createDeparture(context: NodesContext, report: OnStopReport, deadline: number, of: number): Departure {
  const shutdowns = createLimiter(SHUTDOWNS_AT_ONCE)
  const underWay: Promise<void>[] = []
  const leftMs = () => deadline - performance.now()
  const tell = (node: string, what: string, ms: number) => {
    const done = report.suspended.length + report.shutDown.length
    context.log.info({ node, done, of, ms: Math.round(ms) }, `${what} ${node} (${done} of ${of})`)
  }
  const begin = (record: NodeRecord, why: string) =>
    shutdowns.run(async () => {
      const began = performance.now()
      try {
        await whenFree(context, record.id, deadline)
        context.log.info({ node: record.name, why }, `shutting ${record.name} down: ${why}`)
        // A guest that takes no notice is switched off at its grace: whoever ends us would do it without a word.
        if (runs(context, record)) await stopNode(context, record.id, false, BY_SYSTEM)
        report.shutDown.push(record.name)
        tell(record.name, 'shut down', performance.now() - began)
      } catch (error) {
        context.log.warn({ err: error, node: record.name }, 'a node could not be shut down')
      }
    })

  return {
    shutDown: (record, why) => void underWay.push(begin(record, why)),
    async suspendAll(ordered) {
      const queue = [...ordered]
      const began = performance.now()
      const current = new Set<Leaving>()
      let savedBytes = 0
      const giveUp = () => {
        const moving = savedBytes + [...current].reduce((sum, { bytes }) => sum + bytes, 0)
        const late = withoutTime(queue, { bytesPerMs: moving / (performance.now() - began), leftMs: leftMs() })
        queue.splice(queue.length - late.length, late.length)
        for (const { record } of late) underWay.push(begin(record, 'there is no time to save its memory'))
      }
      const looks = setInterval(giveUp, LOOK_MS)
      const worker = async () => {
        for (let next = queue.shift(); next; next = queue.shift()) {
          current.add(next)
          const failure = await trySuspend(next.record)
          current.delete(next)
          savedBytes += next.bytes
          if (failure !== undefined) underWay.push(begin(next.record, failure))
        }
      }
      await Promise.all(Array.from({ length: SUSPENDS_AT_ONCE }, worker)).finally(() => clearInterval(looks))
    },
    async settled() {
      await Promise.all(underWay)
    },
  }

  /** Why it was not suspended. */
  async function trySuspend(record: NodeRecord): Promise<string | undefined> {
    const began = performance.now()
    try {
      await whenFree(context, record.id, deadline)
      const refusal = nodeRefuses('suspend', viewNode(context, record).status)
      if (refusal !== undefined) return refusal
      await suspendNode(context, record.id, 'stop', BY_SYSTEM)
      report.suspended.push(record.name)
      tell(record.name, 'suspended', performance.now() - began)
      return undefined
    } catch (error) {
      context.log.warn({ err: error, node: record.name }, 'a node could not be suspended')
      return `its memory could not be saved after ${formatDuration(performance.now() - began)}`
    }
  }
}

async function waitingOf(context: NodesContext, records: readonly NodeRecord[]): Promise<Leaving[]> {
  const each = records.map(async (record) => ({
    id: record.id,
    record,
    bytes: memoryBytes(record),
    usedAt: await lastUsed(context, record),
  }))
  return inOrder(await Promise.all(each))
}

/** Without an agent in the guest: when it last wrote to its disk, or to its serial line. */
async function lastUsed({ layout }: NodesContext, { id }: NodeRecord): Promise<number> {
  const paths = [overlayFile(layout, id), serialLog(`${nodeRunDir(layout, id)}/io`)]
  const times = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0, // not every engine has these files
      ),
    ),
  )
  return Math.max(...times)
}

/** Bytes that may be asked for, without the margin that is added to each. */
async function roomFor({ layout }: NodesContext): Promise<number> {
  const probe = 1024 ** 3
  const [need] = await measureSpace([{ path: layout.overlays, bytes: probe }])
  if (!need) return 0
  return Math.max(0, need.availableBytes) * (probe / need.requiredBytes)
}

function runs(context: NodesContext, record: NodeRecord): boolean {
  const phase = context.observations.of(record.id).engine?.phase
  return phase === 'running' || phase === 'paused' || phase === 'starting' || phase === 'stopping'
}

/** An action that is under way ends first. */
async function whenFree(context: NodesContext, id: string, deadline: number): Promise<void> {
  while (context.locks.busy(id) !== undefined && performance.now() < deadline) await delay(BUSY_LOOK_MS)
}
