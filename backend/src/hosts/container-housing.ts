import { chown, lstat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { Layout } from '../domain/layout.js'
import type { Identity } from '../system/identity.js'
import type { Logger } from '../system/log.js'
import type { BrokerClient } from './broker-client.js'
import { EngineError, type EngineIsolation, type NodeSpec } from './engine.js'
import type { Housing, QemuStart, StartingQemu } from './housing.js'
import { writeLaunchRecord } from './launch-record.js'
import type { NodeUsers } from './node-users.js'
import type { Run } from './run.js'
import { readLogTail } from './run-logs.js'
import { runPathsOf, type RunPaths } from './run-paths.js'
import { isAlive, makeSignOfLife, watchLife, type LifeWatch } from './sign-of-life.js'

export interface ContainerHousingOptions {
  broker: BrokerClient
  layout: Layout
  users: NodeUsers | undefined
  log: Logger
}

/** After SIGTERM, before the container engine sends SIGKILL by itself; the stop ladder is quicker. */
const STOP_SECONDS = 30

/**
 * Each QEMU in a container of its own, which a broker makes: with a memory, CPU and process limit, no right, no network,
 * and of ours the disks, the images and the nodes' folders. The containers are not ours: they outlive also the replacement
 * of the container that we are in. QEMU's arguments go through the node's folder, never through the broker.
 */
export function createContainerHousing(options: ContainerHousingOptions): Housing {
  const { broker, layout, users, log } = options
  const clear: Housing['clear'] = async ({ id }) => {
    await broker.ask('remove', { node: id }, { patient: false }).catch((error: unknown) => {
      log.warn({ err: error, nodeId: id }, "an ended node's container could not be removed; its next start does it")
    })
  }
  return {
    kind: 'container',
    async isolation() {
      const fault = await broker.fault()
      return {
        users: users ? 'node' : 'shared',
        network: 'own',
        internet: NO_INTERNET,
        containers: fault === undefined ? { ok: true } : { ok: false, reason: fault },
      }
    },
    requireReachable: (spec) => requireReachable(layout, spec),
    async findStranger(id) {
      const isThere = await isAlive(runPathsOf(layout, id).alive)
      return isThere ? 'A container runs as this node and is not known to SandLabX.' : undefined
    },
    findStrangerIn: async (dir) => ((await isAlive(`${dir}/alive`)) ? 'a container' : undefined),
    start: (run, start) => startContainer(options, run, start),
    async find(launch) {
      if (await isAlive(runPathsOf(layout, launch.id).alive)) return { ...launch, contained: true }
      if (launch.contained) return 'gone'
      await clear(launch) // made, and perhaps about to begin
      return 'never'
    },
    lives: ({ paths }) => isAlive(paths.alive),
    wayToLoopback: async ({ paths }) => {
      // Made by the container's program, in QEMU's own folder: what lies there is not trusted.
      const stats = await lstat(paths.loopback).catch(() => undefined)
      if (stats?.isSocket()) return () => connectedTo(paths.loopback)
      throw new EngineError(
        'unsupported',
        'Its container was made by an earlier SandLabX. Stop the node and start it again.',
      )
    },
    async signal({ id }, signal) {
      if (signal === 'SIGKILL') return broker.ask('remove', { node: id })
      // Answered when it has ended, which the ladder sees by itself.
      broker.ask('stop', { node: id, seconds: STOP_SECONDS }).catch((error: unknown) => {
        log.warn({ err: error, nodeId: id }, 'a container could not be asked to end')
      })
    },
    clear,
  }
}

/** A container has its network from its start, and with it this machine and its neighbours: ADR 22. */
const NO_INTERNET: EngineIsolation['internet'] = {
  ok: false,
  reason:
    'Nodes run in containers without a network (compose.isolated.yml), because one that led to the internet would also lead to this machine and its network.',
}

/** A file elsewhere is in the backend's container, if at all. */
function requireReachable(layout: Layout, spec: NodeSpec): void {
  for (const { path } of spec.disks) {
    if (path === undefined || [layout.overlays, layout.images].some((folder) => path.startsWith(`${folder}/`))) continue
    throw new EngineError(
      'unsupported',
      `Its drive ${path} is out of reach: a node in a container of its own has only overlays/ and images/.`,
    )
  }
}

async function startContainer({ broker }: ContainerHousingOptions, run: Run, start: QemuStart): Promise<StartingQemu> {
  const { spec, user } = start
  if (!user) throw new EngineError('unsupported', 'A node in a container of its own needs a user of its own.')
  const node = run.id
  await layOut(run.paths, run.launch.args, user)
  const life = await watchLife(run.paths.alive)
  const end = () => broker.ask('remove', { node })
  try {
    await end() // of an earlier run, if it was not removed then
    await broker.ask('create', { node, memoryMib: spec.memoryMib, cpus: spec.cpus, uid: user.uid })
    await broker.ask('start', { node })
    life.expect()
  } catch (error) {
    await life.close()
    await broker.ask('remove', { node }, { patient: false }).catch(() => undefined) // the first error is the one to tell
    throw error
  }
  return startingContainer(run, life, end)
}

function startingContainer(run: Run, life: LifeWatch, end: () => Promise<void>): StartingQemu {
  const failed = life.ended.then(() => {
    throw new EngineError('engine', 'QEMU ended at once.')
  })
  failed.catch(() => undefined) // for whoever waits for it
  return {
    failed,
    async takeDown() {
      await life.begun
      run.launch = { ...run.launch, contained: true }
      await writeLaunchRecord(run.paths.launch, run.launch)
    },
    openInternet: async () => undefined, // refused before
    async fellByItself() {
      // Nobody tells us how it ended: one that was ended by a signal says so, or nothing at all.
      if (await isHeld(life)) return true
      const said = (await readLogTail(run.paths.qemuLog, 16 * 1024)).toString('utf8')
      return said.trim() !== '' && !said.includes('terminating on signal')
    },
    end,
    release: () => life.close(),
  }
}

function isHeld(life: LifeWatch): Promise<boolean> {
  return Promise.race([life.ended.then(() => false), delay(500, true)])
}

/** What the container's program looks for in the node's folder, and can't replace: the folder is ours. */
async function layOut(paths: RunPaths, args: string[], user: Identity): Promise<void> {
  await writeFile(paths.arguments, args.map((arg) => `${arg}\0`).join(''), { flag: 'wx', mode: 0o400 })
  await writeFile(paths.qemuLog, '', { flag: 'wx', mode: 0o600 })
  await Promise.all([
    ...[paths.arguments, paths.qemuLog].map((path) => chown(path, user.uid, user.gid)),
    makeSignOfLife(paths.alive, user),
  ])
}

/** Ends by itself when nobody takes the call, as when there is no port behind it. */
function connectedTo(path: string): Promise<Duplex> {
  const socket = connect(path)
  socket.on('error', () => socket.destroy())
  return Promise.resolve(socket)
}
