import { access } from 'node:fs/promises'
import type { NodeId } from '../domain/ids.js'
import { overlayFile, type Layout } from '../domain/layout.js'
import { nodeUids, workerIdentity, type Identity, type UidRange } from '../system/identity.js'
import { findSeparation, type Separation } from '../system/network-namespace.js'
import type { Logger } from '../system/log.js'
import type { AcceleratorSetting } from './accelerator.js'
import { adoptAll } from './adopt.js'
import { agentStateOf } from './agent-line.js'
import type { BrokerClient } from './broker-client.js'
import { createContainerHousing } from './container-housing.js'
import { EngineError, type EngineCapabilities, type EngineNode, type NodeEngine } from './engine.js'
import { sweepEphemeralDisks } from './ephemeral-disk.js'
import { makeAllWhole } from './freezer.js'
import { pressKeys } from './guest-input.js'
import { createGuestPorts } from './guest-port.js'
import { openHost } from './host.js'
import { createJobs } from './jobs.js'
import { createNodeUsers } from './node-users.js'
import { createPowerActions } from './power-actions.js'
import { jobsOver } from './power-jobs.js'
import { createProcessHousing } from './process-housing.js'
import { readBootId } from './processes.js'
import { nodeAtRest, nodeOfRun, TIMINGS, liveRun, type EngineContext, type Run, type Timings } from './run.js'
import { openFolders } from './run-dir.js'
import { readLogTail } from './run-logs.js'
import { pathInQemu, requireShortPaths, runPathsOf } from './run-paths.js'
import { takeScreenshot } from './screenshot.js'
import { watchAll } from './watch.js'

export interface ProcessEngineDependencies {
  layout: Layout
  /** QEMU's working folder; what lies below it is given to QEMU by relative paths. */
  dataDir: string
  log: Logger
  /** Default `auto`: chosen by a probe boot. */
  accelerator?: AcceleratorSetting
  /** Default `qemu-system-x86_64`. */
  binary?: string
  /** Whom QEMU runs as. Default: the worker when we are root, else ourselves. */
  worker?: Identity | undefined
  /** Users for nodes, one each. Default: `nodeUids()`; undefined: all nodes share the worker. */
  nodeUids?: UidRange | undefined
  /** Default: tried out. */
  separation?: Separation
  /** Each QEMU in a container of its own, which this one makes. Default: as a process of ours. */
  broker?: BrokerClient
  timings?: Partial<Timings>
}

const CAPABILITIES: EngineCapabilities = {
  multiHost: false,
  liveMove: false,
  liveSnapshot: true,
  suspend: true,
  thinClone: true,
  exclusiveDisk: 'lock',
  hotplug: false,
  adoption: true,
  guestAgent: true,
}

/**
 * Runs each node as a QEMU process of this machine, or in a container of its own; it outlives the backend and is found
 * again by the next one.
 * When this resolves, everything that runs has been adopted. Throws EngineError `unsupported` for a data folder with
 * too long a path; without QEMU it opens all the same, and `probe()` says what is missing.
 */
export async function createProcessEngine(dependencies: ProcessEngineDependencies): Promise<NodeEngine> {
  const { log } = dependencies
  const listeners = new Set<(node: EngineNode) => void>()
  const closing = new AbortController()
  const context = await openContext(dependencies, closing.signal, (node) => tellAll(log, listeners, node))
  await adoptAll(context)
  await makeAllWhole(context)
  await sweepEphemeralDisks(context.layout, (id) => context.live.has(id))
  const stopWatching = watchAll(context)
  const jobs = createJobs()
  const actions = createPowerActions(context)
  const guests = createGuestPorts(context)
  context.host.report().catch((error: unknown) => log.warn({ err: error }, 'the accelerator could not be probed yet'))

  return {
    kind: context.housing.kind,
    capabilities: CAPABILITIES,
    ...jobsOver(jobs, actions),
    probe: () => context.host.report(),
    list: async () => [...context.settled.values(), ...[...context.live.values()].map(nodeOfRun)],
    inspect: (id) => inspectNode(context, id),
    freezeDisk: (id, { key }) => actions.freeze(id, key),
    snapshotDisks: async (id, request) =>
      jobs.run(`snapshot ${id}`, request.key, () => actions.snapshot(id, request)).wait(),
    snapshotState: (id, request) => actions.settleSnapshot(id, request),
    suspend: (id, { key, memoryFile }) => jobs.run(`suspend ${id}`, key, () => actions.suspend(id, memoryFile)),
    suspendState: (id, { memoryFile }) => actions.settleSuspend(id, memoryFile),
    standStill: (id) => actions.standStill(id),
    mergeDown: (id, request) => actions.merge(id, request),
    async console(id, kind) {
      const { paths } = requireLive(context, id)
      return kind === 'serial'
        ? { via: 'unix', protocol: 'serial', path: paths.serial }
        : { via: 'unix', protocol: 'vnc', path: paths.vnc }
    },
    connectGuest: async (id, port) => guests.connect(liveRun(context, id), port),
    sendKeys: async (id, keys) => pressKeys(requireLive(context, id), keys),
    guestAgent: async (id) => agentStateOf(liveRun(context, id)),
    screenshot: async (id) => takeScreenshot(context, requireLive(context, id)),
    serialTail: (id, maxBytes) => readLogTail(runPathsOf(context.layout, id).serialLog, maxBytes),
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async close() {
      closing.abort()
      stopWatching()
      jobs.close()
      for (const run of context.live.values()) run.qmp?.close()
      await context.host.settle()
    },
  }
}

async function openContext(
  dependencies: ProcessEngineDependencies,
  closed: AbortSignal,
  emit: EngineContext['emit'],
): Promise<EngineContext> {
  const { layout, dataDir, log } = dependencies
  const worker = 'worker' in dependencies ? dependencies.worker : workerIdentity()
  const binary = dependencies.binary ?? 'qemu-system-x86_64'
  requireShortPaths(layout)
  await openFolders(layout, dataDir, worker, log)
  const { broker } = dependencies
  // A container has a network of its own, and its QEMU needs no other.
  const separation = broker ? 'none' : (dependencies.separation ?? (await findSeparation(worker)))
  const uids = 'nodeUids' in dependencies ? dependencies.nodeUids : nodeUids()
  const users = worker && uids ? createNodeUsers(layout, uids) : undefined
  const housing = broker
    ? createContainerHousing({ broker, layout, users, log })
    : createProcessHousing({ binary, dataDir, worker, users, separation })
  const host = await openHost({
    setting: dependencies.accelerator ?? 'auto',
    binary,
    cwd: dataDir,
    folder: layout.run,
    folderInQemu: pathInQemu(dataDir, layout.run),
    worker,
    isolation: () => housing.isolation(),
  })
  return {
    layout,
    dataDir,
    log,
    binary,
    worker,
    userOf: async (id) => users?.userOf(id) ?? worker,
    housing,
    separation,
    timings: { ...TIMINGS, ...dependencies.timings },
    host,
    bootId: await readBootId(),
    live: new Map(),
    settled: new Map(),
    closed,
    emit,
  }
}

async function inspectNode(context: EngineContext, id: NodeId): Promise<EngineNode> {
  const run = context.live.get(id)
  if (run) return nodeOfRun(run)
  const settled = context.settled.get(id)
  if (settled) return settled
  const hasDisk = await access(overlayFile(context.layout, id)).then(
    () => true,
    () => false,
  )
  return nodeAtRest(id, { phase: hasDisk ? 'stopped' : 'absent' })
}

function requireLive(context: EngineContext, id: NodeId): Run {
  const run = context.live.get(id)
  if (run) return run
  throw new EngineError('not-found', 'The node is not running.')
}

function tellAll(log: Logger, listeners: Set<(node: EngineNode) => void>, node: EngineNode): void {
  for (const listener of listeners) {
    try {
      listener(node)
    } catch (error) {
      log.error({ err: error, nodeId: node.id }, 'a listener of the engine failed')
    }
  }
}
