import type { NodeId } from '../domain/ids.js'
import { observe } from './attach.js'
import { createDiskActions, type DiskActions } from './disk-actions.js'
import { EngineError, type EngineNode, type NodeSpec, type StopResult } from './engine.js'
import type { FrozenDisk } from './engine-disks.js'
import type { Freezer } from './freezer.js'
import { qmpFailure } from './guest-input.js'
import { removeEphemeralDisk } from './ephemeral-disk.js'
import { catchUp } from './guest-freeze.js'
import { engineErrorOf } from './jobs.js'
import { writeLaunchRecord } from './launch-record.js'
import { launchNode } from './launch.js'
import { DISK_FULL } from './machine-status.js'
import { createNodeActions, type NodeActions } from './node-actions.js'
import { ensureDisk, trashDisk } from './node-disk.js'
import { liveRun, nodeAtRest, nodeOfRun, requireKnown, type EngineContext, type Run } from './run.js'
import { removeRunDir } from './run-dir.js'
import { runPathsOf } from './run-paths.js'
import { createGrace, stopRun, type Grace } from './stop-ladder.js'
import { clientOf, letGo } from './take-back.js'

type Kind = 'ensure' | 'start' | 'stop' | 'reset' | 'remove' | 'disk'

/** What changes a node, each one alone on its node. All throw EngineError. */
export interface PowerActions {
  ensure(spec: NodeSpec): Promise<EngineNode>
  /** Joins a start under way; `conflict` during a stop or removal. */
  start(spec: NodeSpec): Promise<EngineNode>
  /** Joins a stop under way and shortens its grace; waits for a start to finish first. */
  stop(id: NodeId, graceMs: number): Promise<StopResult>
  restart(id: NodeId): Promise<EngineNode>
  resume(id: NodeId): Promise<EngineNode>
  remove(id: NodeId, disks: 'keep' | 'delete'): Promise<void>
  freeze(id: NodeId, key: string): Promise<FrozenDisk>
}

export function createPowerActions(context: EngineContext): PowerActions & DiskActions {
  const actions = createNodeActions<Kind>()
  const stops = new Map<NodeId, { grace: Grace; result: Promise<StopResult> }>()
  const starts = new Map<NodeId, Promise<EngineNode>>()
  const waitFor = (id: NodeId, ...refuse: Kind[]) => blocker(actions, id, ['remove', ...refuse])
  const { freezer, ...disks } = createDiskActions(context, {
    async alone(id, work) {
      for (let wait = waitFor(id); wait; wait = waitFor(id)) await wait
      return actions.run(id, 'disk', work)
    },
    async running(id, work) {
      for (let wait = waitFor(id, 'stop'); wait; wait = waitFor(id, 'stop')) await wait
      const run = liveRun(context, id)
      return actions.run(id, 'disk', () => work(run))
    },
  })

  return {
    async ensure(spec) {
      for (let wait = waitFor(spec.id); wait; wait = waitFor(spec.id)) await wait
      if (context.live.has(spec.id)) return nodeOfLive(context, spec.id)
      return actions.run(spec.id, 'ensure', () => ensureNode(context, spec))
    },
    async start(spec) {
      const joined = starts.get(spec.id)
      if (joined) return joined
      for (let wait = waitFor(spec.id, 'stop'); wait; wait = waitFor(spec.id, 'stop')) await wait
      const result = actions.run(spec.id, 'start', () => startNode(context, freezer, spec))
      return remember(starts, spec.id, result, result)
    },
    async stop(id, graceMs) {
      const joined = stops.get(id)
      if (joined) return joinStop(joined, graceMs)
      for (let wait = waitFor(id); wait; wait = waitFor(id)) {
        await wait
        const other = stops.get(id) // came in while we waited
        if (other) return joinStop(other, graceMs)
      }
      const run = context.live.get(id)
      if (!run) return { node: restingNode(context, id), how: 'already-stopped' }
      requireKnown(run)
      const grace = createGrace(graceMs)
      const result = actions.run(id, 'stop', () => stopRun(context, run, grace))
      return remember(stops, id, { grace, result }, result)
    },
    async restart(id) {
      for (let wait = waitFor(id, 'stop'); wait; wait = waitFor(id, 'stop')) await wait
      const run = liveRun(context, id)
      return actions.run(id, 'reset', () => resetRun(context, run))
    },
    async resume(id) {
      for (let wait = waitFor(id, 'stop'); wait; wait = waitFor(id, 'stop')) await wait
      const run = liveRun(context, id)
      return actions.run(id, 'reset', () => resumeRun(context, run))
    },
    async remove(id, disks) {
      for (let wait = waitFor(id, 'start', 'stop'); wait; wait = waitFor(id, 'start', 'stop')) await wait
      const run = context.live.get(id)
      if (run) {
        requireKnown(run)
        throw new EngineError('conflict', 'It is running. Stop it first.')
      }
      freezer.requireThawed(id)
      return actions.run(id, 'remove', async () => {
        await freezer.makeWhole(id)
        await removeNode(context, id, disks)
      })
    },
    ...disks,
  }
}

const DOING: Record<Kind, string> = {
  ensure: 'its disk is being made',
  start: 'it is being started',
  stop: 'it is being stopped',
  reset: 'it is being restarted',
  remove: 'it is being removed',
  disk: 'its disk is being put in order',
}

/**
 * What has to end before the next action on a node; undefined when nothing is under way. Asked again after each wait,
 * and no wait lies between its last answer and the action: nobody can come in between. What can't be waited for is
 * `conflict`.
 */
function blocker(actions: NodeActions<Kind>, id: NodeId, refuse: Kind[]): Promise<unknown> | undefined {
  const current = actions.current(id)
  if (!current) return undefined
  if (refuse.includes(current.kind)) throw new EngineError('conflict', `Not now: ${DOING[current.kind]}.`)
  return current.done.catch(() => undefined) // its own caller hears of it
}

/** Keeps what others may join for as long as it is under way. */
function remember<V, T>(map: Map<NodeId, V>, id: NodeId, value: V, result: Promise<T>): Promise<T> {
  map.set(id, value)
  const forget = () => {
    if (map.get(id) === value) map.delete(id)
  }
  result.then(forget, forget)
  return result
}

function joinStop(joined: { grace: Grace; result: Promise<StopResult> }, graceMs: number): Promise<StopResult> {
  joined.grace.shortenTo(graceMs)
  return joined.result
}

async function ensureNode(context: EngineContext, spec: NodeSpec): Promise<EngineNode> {
  await ensureDisk(context.layout, spec)
  return restingNode(context, spec.id)
}

async function startNode(context: EngineContext, freezer: Freezer, spec: NodeSpec): Promise<EngineNode> {
  const running = context.live.get(spec.id)
  if (running) {
    requireKnown(running)
    return nodeOfRun(running)
  }
  freezer.requireThawed(spec.id)
  context.settled.set(spec.id, nodeAtRest(spec.id, { phase: 'starting', generation: spec.generation }))
  try {
    await freezer.makeWhole(spec.id)
    const run = await launchNode(context, spec)
    context.settled.delete(spec.id)
    return nodeOfRun(run)
  } catch (error) {
    const failure = engineErrorOf(error)
    const rest = { phase: 'failed', reason: failure.message, generation: spec.generation } as const
    context.settled.set(spec.id, nodeAtRest(spec.id, rest))
    throw failure
  }
}

async function resetRun(context: EngineContext, run: Run): Promise<EngineNode> {
  try {
    await run.qmp?.run('system_reset')
    return await goOn(context, run)
  } catch (error) {
    throw qmpFailure('restart it', error)
  }
}

async function resumeRun(context: EngineContext, run: Run): Promise<EngineNode> {
  try {
    if (run.launch.waits) {
      run.launch = { ...run.launch, waits: false }
      await writeLaunchRecord(run.paths.launch, run.launch)
    }
    if (run.launch.held) await letGo(context, run, clientOf(run))
    const node = await goOn(context, run)
    if (run.launch.agentDue) void catchUp(context, run)
    if (node.phase !== 'paused') return node
    throw new EngineError(node.reason === DISK_FULL ? 'no-space' : 'engine', node.reason ?? 'It was paused again.')
  } catch (error) {
    throw qmpFailure('resume it', error)
  }
}

async function goOn(context: EngineContext, run: Run): Promise<EngineNode> {
  const client = run.qmp
  if (!client) throw new EngineError('host-unknown', 'QEMU does not answer.', { retry: true })
  await client.run('cont') // a running guest takes no notice
  await observe(context, run, client)
  return nodeOfRun(run)
}

async function removeNode(context: EngineContext, id: NodeId, disks: 'keep' | 'delete'): Promise<void> {
  if (disks === 'delete') await trashDisk(context.layout, id)
  await removeEphemeralDisk(context.layout, id)
  await removeRunDir(runPathsOf(context.layout, id))
  context.settled.delete(id)
}

function nodeOfLive(context: EngineContext, id: NodeId): EngineNode {
  const run = context.live.get(id)
  return run ? nodeOfRun(run) : restingNode(context, id)
}

function restingNode(context: EngineContext, id: NodeId): EngineNode {
  return context.settled.get(id) ?? nodeAtRest(id, { phase: 'stopped' })
}
