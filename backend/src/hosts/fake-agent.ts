import type { NodeId } from '../domain/ids.js'
import { EngineError, type GuestAgentState } from './engine.js'
import { requireAlive, requireKnown, type FakeMachines } from './fake-machine.js'

/** The agents in the fake engine's guests: of machines that have a port, one that answers or not. */
export interface FakeAgents {
  stateOf(id: NodeId): GuestAgentState
  requireAnswering(id: NodeId): void
  freeze(id: NodeId): void
  /** A guest that is not frozen takes no notice. */
  thaw(id: NodeId): void
  isFrozen(id: NodeId): boolean
  set(id: NodeId, answers: boolean): void
}

export function createFakeAgents(machines: FakeMachines, answersByItself: boolean): FakeAgents {
  const answering = new Map<NodeId, boolean>()
  const frozen = new Set<NodeId>()
  const stateOf = (id: NodeId): GuestAgentState => {
    const machine = requireAlive(machines.of(id))
    requireKnown(machine)
    if (machine.spec?.agent !== true) return 'absent'
    return (answering.get(id) ?? answersByItself) && machine.node.phase === 'running' ? 'answers' : 'silent'
  }
  const requireAnswering = (id: NodeId) => {
    const state = stateOf(id)
    if (state === 'answers') return
    const why = state === 'absent' ? 'has no port' : 'does not answer'
    throw new EngineError('unsupported', `The fake guest's agent ${why}.`)
  }
  return {
    stateOf,
    requireAnswering,
    freeze(id) {
      requireAnswering(id)
      frozen.add(id)
    },
    thaw: (id) => void frozen.delete(id),
    isFrozen: (id) => frozen.has(id),
    set: (id, answers) => void answering.set(id, answers),
  }
}
