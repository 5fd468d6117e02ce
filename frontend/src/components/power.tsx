import type { NodeView } from '@domain/node.js'
import { type PowerAction, usePower } from '../api/nodes.js'
import { toastDone, toastError } from './toast.js'

export interface PowerButtons {
  /** Asks the server; says why when it refuses. The status is shown when it has changed, not before. */
  run: (node: Pick<NodeView, 'id' | 'name'>, action: PowerAction) => void
  /** As `run`, for many nodes, a few at a time; says at the end how many did it. */
  runAll: (nodes: readonly NodeView[], action: PowerAction) => Promise<void>
}

const WORDS: Record<PowerAction, { tried: string; done: string }> = {
  start: { tried: 'started', done: 'Started' },
  stop: { tried: 'stopped', done: 'Stopped' },
  'stop-now': { tried: 'switched off', done: 'Switched off' },
  suspend: { tried: 'suspended', done: 'Suspended' },
  'discard-memory': { tried: 'rid of its memory', done: 'Discarded the memory of' },
  restart: { tried: 'restarted', done: 'Restarted' },
}

const AT_ONCE = 4

export function usePowerButtons(): PowerButtons {
  const power = usePower()
  return {
    run({ id, name }, action) {
      power.mutateAsync({ id, name, action }).catch((error: unknown) => {
        toastError(`${name} was not ${WORDS[action].tried}`, error)
      })
    },
    async runAll(nodes, action) {
      const waiting = [...nodes]
      const failures: { name: string; error: unknown }[] = []
      const worker = async () => {
        for (let node = waiting.shift(); node; node = waiting.shift()) {
          const { id, name } = node
          await power.mutateAsync({ id, name, action }).catch((error: unknown) => failures.push({ name, error }))
        }
      }
      await Promise.all(Array.from({ length: AT_ONCE }, worker))
      const done = nodes.length - failures.length
      if (done > 0) toastDone(`${WORDS[action].done} ${done} ${done === 1 ? 'node' : 'nodes'}`)
      for (const { name, error } of failures.slice(0, 3)) toastError(`${name} was not ${WORDS[action].tried}`, error)
    },
  }
}
