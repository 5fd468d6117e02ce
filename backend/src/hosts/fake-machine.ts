import type { NodeId } from '../domain/ids.js'
import { EngineError, type EngineNode, type NodeSpec, type Phase } from './engine.js'
import { createFakeSerial, type FakeSerial } from './fake-serial.js'
import { nodeAtRest } from './run.js'

/** A node of the fake engine, with what a test may look at. */
export interface FakeMachine {
  readonly id: NodeId
  node: EngineNode
  serial: FakeSerial
  /** Of the last start. */
  spec: NodeSpec | undefined
  hasDisk: boolean
  /** Takes no notice of its power button. */
  deaf: boolean
  /** How often it was really started. */
  starts: number
  keys: string[][]
  /** RFB key and pointer messages. */
  input: Buffer[]
}

export interface FakeMachines {
  of(id: NodeId): FakeMachine
  /** Those that were started once. */
  started(): FakeMachine[]
  /** Ends it and tells the listeners. */
  end(machine: FakeMachine, how: NonNullable<EngineNode['ended']>['how'], reason: string): void
  /** It changes by itself; the listeners are told. Throws `not-found` when it does not run. */
  change(id: NodeId, phase: Phase, reason: string | null): void
  onChange(listener: (node: EngineNode) => void): () => void
}

export function createFakeMachines(): FakeMachines {
  const machines = new Map<NodeId, FakeMachine>()
  const listeners = new Set<(node: EngineNode) => void>()
  const of = (id: NodeId): FakeMachine => {
    const machine = machines.get(id) ?? createMachine(id)
    machines.set(id, machine)
    return machine
  }
  const tell = (node: EngineNode) => {
    for (const listener of listeners) listener(node)
  }
  return {
    of,
    started: () => [...machines.values()].filter((machine) => machine.starts > 0),
    end(machine, how, reason) {
      machine.serial.hangUp()
      machine.node = nodeAtRest(machine.id, {
        phase: how === 'crashed' ? 'failed' : 'stopped',
        reason,
        generation: machine.node.generation,
        ended: { at: new Date().toISOString(), how },
      })
      tell(machine.node)
    },
    change(id, phase, reason) {
      const machine = requireAlive(of(id))
      machine.node = { ...machine.node, phase, reason }
      tell(machine.node)
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

function createMachine(id: NodeId): FakeMachine {
  return {
    id,
    node: nodeAtRest(id, { phase: 'absent' }),
    serial: createFakeSerial(),
    spec: undefined,
    hasDisk: false,
    deaf: false,
    starts: 0,
    keys: [],
    input: [],
  }
}

const ALIVE: ReadonlySet<Phase> = new Set(['running', 'paused', 'stopping', 'unknown'])

export function isAlive(machine: FakeMachine): boolean {
  return ALIVE.has(machine.node.phase)
}

export function requireAlive(machine: FakeMachine): FakeMachine {
  if (isAlive(machine)) return machine
  throw new EngineError('not-found', 'The node is not running.')
}

export function requireKnown(machine: FakeMachine): void {
  if (machine.node.phase !== 'unknown') return
  throw new EngineError('host-unknown', 'It does not answer.', { retry: true })
}
