import type { ChildProcess } from 'node:child_process'
import type { NodeId } from '../domain/ids.js'
import type { Layout } from '../domain/layout.js'
import type { Identity } from '../system/identity.js'
import type { Logger } from '../system/log.js'
import type { Separation } from '../system/network-namespace.js'
import type { QmpClient } from '../system/qmp.js'
import { EngineError, type EngineNode, type Phase, type StopResult } from './engine.js'
import type { Host } from './host.js'
import type { Housing } from './housing.js'
import type { LaunchRecord } from './launch-record.js'
import type { RunPaths } from './run-paths.js'

/** The name of the one host of this engine. */
export const LOCAL_HOST = 'local'

/** How long the engine waits for what; milliseconds. */
export interface Timings {
  /** From the process's start to QMP's answer, on a busy machine. */
  qmpReady: number
  /** Each QMP command. */
  qmpCommand: number
  /** Between two looks at each node. */
  heartbeat: number
  /** Between two presses of the power button: a guest that is still booting misses the first. */
  powerButton: number
  /** For QEMU to flush and end after `quit`. */
  quit: number
  /** After SIGTERM, and after SIGKILL. */
  signal: number
}

export const TIMINGS: Timings = {
  qmpReady: 20_000,
  qmpCommand: 2000,
  heartbeat: 2000,
  powerButton: 5000,
  quit: 5000,
  signal: 4000,
}

/** What every verb of the process engine needs. */
export interface EngineContext {
  layout: Layout
  /** QEMU's working folder. */
  dataDir: string
  log: Logger
  binary: string
  /** The user without rights that stands in where no node's own does; undefined: we are not root, all is ours. */
  worker: Identity | undefined
  /** Whom a node's QEMU runs as; undefined: as we do. */
  userOf(id: NodeId): Promise<Identity | undefined>
  /** Where QEMUs live. */
  housing: Housing
  /** How a QEMU beside us is kept apart from the host's network; one in a container is so by it. */
  separation: Separation
  timings: Timings
  host: Host
  bootId: string
  /** Nodes whose process lives, or is not known to have ended. */
  live: Map<NodeId, Run>
  /** Nodes that have ended or could not be started, as last seen. */
  settled: Map<NodeId, EngineNode>
  /** Aborted: the engine no longer watches, and acts on nothing; ends are another one's business. */
  closed: AbortSignal
  emit(node: EngineNode): void
}

/** One QEMU process of ours, from its start or adoption to its end. */
export interface Run {
  readonly id: NodeId
  readonly paths: RunPaths
  launch: LaunchRecord
  phase: Phase
  /** Why it is paused or unknown. */
  reason: string | null
  /** Null while nobody answers. */
  qmp: QmpClient | null
  /** Null for an adopted process, whose exit code we will never learn. */
  child: ChildProcess | null
  /** How the child ended, once it has. */
  exit: { code: number | null; signal: NodeJS.Signals | null } | null
  /** What QEMU's SHUTDOWN event said. */
  shutdown: { guest: boolean; reason: string } | null
  /** The error of the host's disk that paused it. */
  diskError: string | null
  /** The rung of the stop ladder that is being tried; null: nobody asked it to stop. */
  rung: Exclude<StopResult['how'], 'already-stopped'> | null
  /** Looks in a row that it did not answer. */
  misses: number
  ending: boolean
  /** Resolves with the final word once the process has ended and its folder is tidy. */
  readonly ended: Promise<EngineNode>
  readonly resolveEnded: (node: EngineNode) => void
}

export function createRun(paths: RunPaths, launch: LaunchRecord, child: ChildProcess | null): Run {
  let resolveEnded!: (node: EngineNode) => void
  const ended = new Promise<EngineNode>((resolve) => {
    resolveEnded = resolve
  })
  return {
    id: launch.id,
    paths,
    launch,
    phase: 'starting',
    reason: null,
    qmp: null,
    child,
    exit: null,
    shutdown: null,
    diskError: null,
    rung: null,
    misses: 0,
    ending: false,
    ended,
    resolveEnded,
  }
}

export function nodeOfRun(run: Run): EngineNode {
  return {
    id: run.id,
    phase: run.phase,
    reason: run.reason,
    generation: run.launch.generation,
    host: LOCAL_HOST,
    startedAt: run.launch.startedAt,
    accelerator: run.launch.accelerator,
    ended: null,
    pid: run.launch.process?.pid ?? null,
  }
}

/** A node without a process. */
export function nodeAtRest(
  id: NodeId,
  rest: Pick<EngineNode, 'phase'> & Partial<Pick<EngineNode, 'reason' | 'generation' | 'ended'>>,
): EngineNode {
  return {
    id,
    phase: rest.phase,
    reason: rest.reason ?? null,
    generation: rest.generation ?? 0,
    host: null,
    startedAt: null,
    accelerator: null,
    ended: rest.ended ?? null,
    pid: null,
  }
}

/** A node whose process has ended, from what its launch record says. */
export function nodeOfEnd(launch: LaunchRecord): EngineNode {
  const ended = launch.ended
  return nodeAtRest(launch.id, {
    phase: ended?.how === 'crashed' ? 'failed' : 'stopped',
    reason: ended?.reason ?? null,
    generation: launch.generation,
    ended: ended && { at: ended.at, how: ended.how },
  })
}

/** Throws `not-found`, or `host-unknown` for one that is silent. */
export function liveRun(context: EngineContext, id: NodeId): Run {
  const run = context.live.get(id)
  if (!run) throw new EngineError('not-found', 'The node is not running.')
  requireKnown(run)
  return run
}

/** A silent process may be doing anything: nothing is done to it or in its place. */
export function requireKnown(run: Run): void {
  if (run.phase !== 'unknown') return
  throw new EngineError('host-unknown', run.reason ?? 'QEMU does not answer.', { retry: true })
}
