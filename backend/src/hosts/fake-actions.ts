import type { NodeId } from '../domain/ids.js'
import { ephemeralFile, overlayFile, type Layout } from '../domain/layout.js'
import { removeEphemeralDisk } from './ephemeral-disk.js'
import { EngineError, type EngineNode, type NodeSpec, type StopResult } from './engine.js'
import type { FakeFaults } from './fake-faults.js'
import type { FakeFreezer } from './fake-freeze.js'
import { requireFakeMemory } from './fake-memory.js'
import { isAlive, requireAlive, requireKnown, type FakeMachine, type FakeMachines } from './fake-machine.js'
import { createFakeSerial } from './fake-serial.js'
import { createNodeActions } from './node-actions.js'
import { ensureDisk, trashDisk } from './node-disk.js'
import type { PowerActions } from './power-actions.js'
import { LOCAL_HOST, nodeAtRest } from './run.js'
import { exists } from '../system/exists.js'

interface FakeWorld {
  machines: FakeMachines
  faults: FakeFaults
  freezer: FakeFreezer
  /** With it, disks are real files. */
  layout: Layout | undefined
  accelerator: () => 'kvm' | 'tcg'
}

/** The same verbs and the same refusals as the process engine's, without a process. */
export function createFakeActions(world: FakeWorld): PowerActions {
  const actions = createNodeActions<'start' | 'stop' | 'remove' | 'other'>()
  const stops = new Map<NodeId, Promise<StopResult>>()
  const alone = async <T>(id: NodeId, kind: 'start' | 'remove' | 'other', work: () => Promise<T>): Promise<T> => {
    for (let current = actions.current(id); current; current = actions.current(id)) {
      const refused = kind === 'remove' ? ['start', 'stop'] : ['stop', 'remove']
      if (refused.includes(current.kind)) throw new EngineError('conflict', `Not now: a ${current.kind} is under way.`)
      await current.done.catch(() => undefined)
    }
    return actions.run(id, kind, work)
  }
  return {
    ensure: (spec) => alone(spec.id, 'other', () => ensure(world, spec)),
    start: (spec) => alone(spec.id, 'start', () => start(world, spec)),
    async stop(id, graceMs) {
      for (let current = actions.current(id); current && current.kind !== 'stop'; current = actions.current(id)) {
        await current.done.catch(() => undefined)
      }
      const joined = stops.get(id)
      if (joined) return joined
      const result = actions.run(id, 'stop', () => stop(world, id, graceMs))
      stops.set(id, result)
      return result.finally(() => stops.delete(id))
    },
    restart: (id) => alone(id, 'other', () => goOn(world, id, 'restart')),
    resume: (id) => alone(id, 'other', () => goOn(world, id, 'resume')),
    freeze: (id, key) => world.freezer.freeze(id, key),
    remove: (id, disks) => alone(id, 'remove', () => remove(world, id, disks)),
  }
}

async function ensure({ machines, faults, layout }: FakeWorld, spec: NodeSpec): Promise<EngineNode> {
  await faults.meet('ensureNode')
  const machine = machines.of(spec.id)
  if (isAlive(machine)) return machine.node
  if (layout) await ensureDisk(layout, spec)
  machine.hasDisk = true
  if (machine.node.phase === 'absent') machine.node = nodeAtRest(spec.id, { phase: 'stopped' })
  return machine.node
}

async function start(
  { machines, faults, freezer, layout, accelerator }: FakeWorld,
  spec: NodeSpec,
): Promise<EngineNode> {
  const machine = machines.of(spec.id)
  if (isAlive(machine)) {
    requireKnown(machine)
    return machine.node
  }
  freezer.requireThawed(spec.id)
  machine.node = nodeAtRest(spec.id, { phase: 'starting', generation: spec.generation })
  try {
    await faults.meet('start')
    const hasDisk = layout
      ? await exists(spec.ephemeral ? ephemeralFile(layout, spec.id) : overlayFile(layout, spec.id))
      : machine.hasDisk
    if (!hasDisk) throw new EngineError('broken', 'Its disk is missing.')
    await requireFakeMemory(layout, spec)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    machine.node = nodeAtRest(spec.id, { phase: 'failed', reason, generation: spec.generation })
    throw error
  }
  powerOn(machine, spec, accelerator())
  return machine.node
}

function powerOn(machine: FakeMachine, spec: NodeSpec, accelerator: 'kvm' | 'tcg'): void {
  machine.spec = spec
  machine.starts += 1
  machine.deaf = false
  machine.serial = createFakeSerial()
  machine.node = {
    ...nodeAtRest(spec.id, { phase: 'running', generation: spec.generation }),
    host: LOCAL_HOST,
    startedAt: new Date().toISOString(),
    accelerator,
  }
  if (spec.resume?.hold) {
    machine.node = { ...machine.node, phase: 'paused', reason: 'It has its memory, and waits.' }
    return
  }
  machine.serial.print(spec.resume ? 'Fake Linux goes on\r\n' : `Fake Linux ${spec.name} ttyS0\r\n\r\nlogin: `)
}

async function stop({ machines, faults }: FakeWorld, id: NodeId, graceMs: number): Promise<StopResult> {
  const machine = machines.of(id)
  if (!isAlive(machine)) return { node: machine.node, how: 'already-stopped' }
  requireKnown(machine)
  machine.node = { ...machine.node, phase: 'stopping' }
  await faults.meet('stop')
  if (!isAlive(machine)) return { node: machine.node, how: 'guest-shutdown' } // it ended while it was held
  const gently = graceMs > 0 && !machine.deaf
  if (gently) machines.end(machine, 'asked', 'The guest shut down, as it was asked to.')
  else machines.end(machine, 'forced', 'It was switched off.')
  return { node: machine.node, how: gently ? 'guest-shutdown' : 'quit' }
}

async function goOn(world: FakeWorld, id: NodeId, operation: 'restart' | 'resume'): Promise<EngineNode> {
  const machine = requireAlive(world.machines.of(id))
  requireKnown(machine)
  await world.faults.meet(operation)
  const waited = operation === 'resume' && machine.node.phase === 'paused' && machine.spec?.resume?.hold === true
  machine.node = { ...machine.node, phase: 'running', reason: null }
  if (waited) machine.serial.print('Fake Linux goes on\r\n')
  if (operation === 'restart') machine.serial.print('\r\nFake Linux restarted\r\n\r\nlogin: ')
  return machine.node
}

async function remove(world: FakeWorld, id: NodeId, disks: 'keep' | 'delete'): Promise<void> {
  const machine = world.machines.of(id)
  if (isAlive(machine)) {
    requireKnown(machine)
    throw new EngineError('conflict', 'It is running. Stop it first.')
  }
  world.freezer.requireThawed(id)
  await world.faults.meet('remove')
  if (disks === 'delete' && world.layout) await trashDisk(world.layout, id)
  if (world.layout) await removeEphemeralDisk(world.layout, id)
  machine.hasDisk = machine.hasDisk && disks === 'keep' && machine.spec?.ephemeral !== true
  machine.serial = createFakeSerial()
  machine.node = nodeAtRest(id, { phase: machine.hasDisk ? 'stopped' : 'absent' })
}
