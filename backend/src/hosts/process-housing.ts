import { setTimeout as delay } from 'node:timers/promises'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Identity } from '../system/identity.js'
import { raiseLoopback, type Inside, type Separation } from '../system/network-namespace.js'
import { openNetworkPipe } from '../system/network-pipe.js'
import { findEgress, openEgress, wantsInternet } from './egress.js'
import { EngineError } from './engine.js'
import type { Housing, QemuStart, StartingQemu } from './housing.js'
import { isolationOf } from './isolation.js'
import { runsAs } from './machine.js'
import type { NodeUsers } from './node-users.js'
import { findProcess, isSameProcess, readProcess, signalProcess } from './processes.js'
import { endChild, failed, recordProcess, spawnQemu } from './qemu-process.js'
import type { Run } from './run.js'

export interface ProcessHousingOptions {
  binary: string
  /** QEMU's working folder. */
  dataDir: string
  worker: Identity | undefined
  /** Undefined: all nodes share the worker. */
  users: NodeUsers | undefined
  separation: Separation
}

/** QEMUs as processes of this machine, apart from it by a user and a network of their own. They outlive us. */
export function createProcessHousing(options: ProcessHousingOptions): Housing {
  const { separation, worker, users } = options
  return {
    kind: 'process',
    // Looked at each time: something may just have been installed.
    isolation: async () => isolationOf(worker, users, separation, await findEgress(separation, worker)),
    requireReachable: () => undefined,
    async findStranger(id) {
      const found = await findProcess((args) => runsAs(args, id))
      return found ? `Process ${found.pid} runs as this node and is not known to SandLabX.` : undefined
    },
    async findStrangerIn(dir) {
      const name = dir.slice(dir.lastIndexOf('/') + 1)
      const found = await findProcess((args) => args.some((arg) => arg.includes(`/${name}/`)))
      return found ? `process ${found.pid}` : undefined
    },
    start: (run, start) => startProcess(options, run, start),
    /**
     * By the record: the same pid, start time and program. Without one (the backend died between the start and its note):
     * any process whose arguments name the node. QMP has the last word.
     */
    async find(launch) {
      const known = launch.process
      if (!known) {
        const found = await findProcess((args) => runsAs(args, launch.id))
        return found ? { ...launch, process: found } : 'never'
      }
      const facts = await readProcess(known.pid)
      const same = facts?.startTime === known.startTime && (facts.exe === known.exe || facts.exe === null)
      return facts && same ? { ...launch, process: facts } : 'gone'
    },
    lives: async ({ launch }) => launch.process !== null && isSameProcess(launch.process),
    wayToLoopback: (run) => wayToLoopback(options, run),
    async signal({ launch }, signal) {
      if (launch.process) await signalProcess(launch.process, signal)
    },
    clear: async () => undefined,
  }
}

async function startProcess(options: ProcessHousingOptions, run: Run, start: QemuStart): Promise<StartingQemu> {
  const internet = wantsInternet(start.spec)
  const child = await spawnQemu(options, run, { user: start.user, internet })
  run.child = child
  const ended = failed(child)
  ended.catch(() => undefined) // for whoever waits for it
  return {
    failed: ended,
    takeDown: () => recordProcess(run),
    async openInternet() {
      const lifeline = child.stdio[3] as Socket | null | undefined // made as a pipe in spawnQemu
      if (lifeline) await openEgress(options, run, lifeline, start.user).finally(() => lifeline.destroy())
    },
    async fellByItself() {
      for (let looks = 0; looks < 50 && child.exitCode === null && child.signalCode === null; looks += 1)
        await delay(10)
      return child.signalCode !== 'SIGKILL' && child.signalCode !== 'SIGTERM'
    },
    end: () => endChild(child),
    release: async () => undefined,
  }
}

async function wayToLoopback(
  { separation, worker, users }: ProcessHousingOptions,
  { id, launch: { process: qemu } }: Run,
): Promise<(port: number) => Promise<Duplex>> {
  // Of another process with its number the network is not entered.
  if (!qemu || !(await isSameProcess(qemu))) throw new EngineError('not-found', 'The node is not running.')
  if (separation === 'none') {
    throw new EngineError(
      'unsupported',
      'QEMU has no network of its own on this machine, and a port on that of the machine would be open to everybody.',
    )
  }
  const inside: Inside = { way: separation, pid: qemu.pid, identity: users ? await users.userOf(id) : worker }
  await raiseLoopback(inside).catch((cause: unknown) => {
    const hint = 'It takes ip and nsenter, of the packages iproute2 and util-linux.'
    throw new EngineError('unsupported', `The network of its QEMU could not be entered. ${hint}`, { cause })
  })
  return (port) => openNetworkPipe(inside, port)
}
