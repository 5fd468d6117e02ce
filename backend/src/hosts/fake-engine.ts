import type { Duplex } from 'node:stream'
import type { NodeId } from '../domain/ids.js'
import type { Layout } from '../domain/layout.js'
import { EngineError, type EngineReport, type NodeEngine, type NodeSpec } from './engine.js'
import { createFakeActions } from './fake-actions.js'
import { createFakeAgents } from './fake-agent.js'
import { createFakeDisks } from './fake-disks.js'
import { createFakeFreezer } from './fake-freeze.js'
import { createFakeFaults, type FakeFaults } from './fake-faults.js'
import { createFakeMemory } from './fake-memory.js'
import { createFakeMachines, requireAlive } from './fake-machine.js'
import { fakePicture, openFakeScreen } from './fake-screen.js'
import type { FakeSerial } from './fake-serial.js'
import { createJobs } from './jobs.js'
import { isQcode } from './keymap.js'
import { jobsOver } from './power-jobs.js'
import { LOCAL_HOST } from './run.js'

export interface FakeEngineOptions {
  /**
   * With it, disks are real files, made and trashed as the process engine does, and can be frozen; without, they are only
   * remembered.
   */
  layout?: Layout
  report?: Partial<EngineReport>
  /** Where the machine has a port for it, the guest's agent answers. */
  guestAgent?: boolean
  /** What listens on the guests' ports; without it there is no way into their network. */
  guestPort?: (id: NodeId, port: number) => Duplex
}

/** An engine without processes, for tests: nothing takes time unless held, and whatever can go wrong does on demand. */
export interface FakeEngine extends NodeEngine, Pick<FakeFaults, 'failNext' | 'hold'> {
  /** The node's process is gone, without anybody having asked. */
  crash(id: NodeId, reason?: string): void
  /** The guest powers itself off. */
  powerOff(id: NodeId): void
  pause(id: NodeId, reason: string): void
  /** The node's process lives and no longer answers; `wake` undoes it. */
  silence(id: NodeId): void
  wake(id: NodeId): void
  /** The guest takes no notice of its power button, until its next start. */
  ignorePowerButton(id: NodeId): void
  /** How often a machine was really started, not how often it was asked for. */
  startsOf(id: NodeId): number
  /** The spec of the last start. */
  specOf(id: NodeId): NodeSpec | undefined
  serialOf(id: NodeId): FakeSerial
  keysOf(id: NodeId): string[][]
  /** RFB key and pointer messages that reached the screen. */
  inputOf(id: NodeId): Buffer[]
  /** The agent of this guest answers from now on, or no longer. */
  setAgent(id: NodeId, answers: boolean): void
  /** Whether the guest is frozen by its agent. */
  isGuestFrozen(id: NodeId): boolean
  /** Whether a `freezeDisk` has not been released yet. */
  isFrozen(id: NodeId): boolean
  setReport(report: Partial<EngineReport>): void
}

const REPORT: EngineReport = {
  ok: true,
  version: 'fake',
  accelerator: { kind: 'tcg', reason: 'A fake engine runs no guests.', probeMs: 0 },
  hosts: [{ id: LOCAL_HOST, up: true, cpus: 16, memoryMib: 65_536, freeMemoryMib: 60_000 }],
}

const CAPABILITIES: NodeEngine['capabilities'] = {
  multiHost: false,
  liveMove: false,
  liveSnapshot: false,
  suspend: false,
  thinClone: true,
  exclusiveDisk: 'engine',
  hotplug: false,
  adoption: false,
  guestAgent: true,
}

export function createFakeEngine(options: FakeEngineOptions = {}): FakeEngine {
  const machines = createFakeMachines()
  const faults = createFakeFaults()
  const jobs = createJobs()
  let report: EngineReport = { ...REPORT, ...options.report }
  const accelerator = () => report.accelerator.kind
  const freezer = createFakeFreezer({ machines, faults, layout: options.layout })
  const agents = createFakeAgents(machines, options.guestAgent ?? false)
  const actions = createFakeActions({ machines, faults, freezer, layout: options.layout, accelerator })

  return {
    kind: 'fake',
    capabilities: {
      ...CAPABILITIES,
      liveSnapshot: options.layout !== undefined,
      suspend: options.layout !== undefined,
    },
    ...jobsOver(jobs, actions),
    async probe() {
      await faults.meet('probe')
      return report
    },
    async list() {
      await faults.meet('list')
      return machines.started().map((machine) => machine.node)
    },
    inspect: async (id) => machines.of(id).node,
    ...createFakeMemory({ machines, faults, freezer, jobs, layout: options.layout }),
    freezeDisk: (id, { key }) => actions.freeze(id, key),
    ...createFakeDisks({ machines, faults, freezer, jobs, layout: options.layout, agents }),
    guestAgent: async (id) => agents.stateOf(id),
    async console(id, kind) {
      await faults.meet('console')
      const machine = requireAlive(machines.of(id))
      if (kind === 'serial') return { via: 'stream', protocol: 'serial', open: async () => machine.serial.open() }
      const onInput = (message: Buffer) => void machine.input.push(message)
      return { via: 'stream', protocol: 'vnc', open: async () => openFakeScreen(onInput) }
    },
    ...(options.guestPort ? { connectGuest: connectGuestOver(machines, options.guestPort) } : {}),
    async sendKeys(id, keys) {
      await faults.meet('sendKeys')
      const machine = requireAlive(machines.of(id))
      const unknown = keys.find((key) => !isQcode(key))
      if (unknown !== undefined)
        throw new EngineError('unsupported', `There is no key named ${JSON.stringify(unknown)}.`)
      machine.keys.push(keys)
    },
    async screenshot(id) {
      await faults.meet('screenshot')
      requireAlive(machines.of(id))
      return fakePicture()
    },
    serialTail: async (id, maxBytes) => machines.of(id).serial.tail(maxBytes),
    onChange: (listener) => machines.onChange(listener),
    close: async () => jobs.close(),

    failNext: (operation, error) => faults.failNext(operation, error),
    hold: (operation) => faults.hold(operation),
    crash(id, reason = 'QEMU was killed (SIGKILL).') {
      machines.end(requireAlive(machines.of(id)), 'crashed', reason)
    },
    powerOff: (id) => machines.end(requireAlive(machines.of(id)), 'guest', 'The guest powered itself off.'),
    pause: (id, reason) => machines.change(id, 'paused', reason),
    silence: (id) => machines.change(id, 'unknown', 'It does not answer.'),
    wake: (id) => machines.change(id, 'running', null),
    ignorePowerButton(id) {
      requireAlive(machines.of(id)).deaf = true
    },
    startsOf: (id) => machines.of(id).starts,
    specOf: (id) => machines.of(id).spec,
    serialOf: (id) => machines.of(id).serial,
    keysOf: (id) => machines.of(id).keys,
    setAgent: (id, answers) => agents.set(id, answers),
    isGuestFrozen: (id) => agents.isFrozen(id),
    isFrozen: (id) => freezer.isFrozen(id),
    inputOf: (id) => machines.of(id).input,
    setReport(changes) {
      report = { ...report, ...changes }
    },
  }
}

function connectGuestOver(
  machines: ReturnType<typeof createFakeMachines>,
  open: (id: NodeId, port: number) => Duplex,
): (id: NodeId, port: number) => Promise<Duplex> {
  return async (id, port) => {
    requireAlive(machines.of(id))
    return open(id, port)
  }
}
