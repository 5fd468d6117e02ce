import type { NodeEngine } from './engine.js'
import type { Jobs } from './jobs.js'
import type { PowerActions } from './power-actions.js'

/** The keyed verbs of the contract, over what does them. */
export function jobsOver(
  jobs: Jobs,
  actions: PowerActions,
): Pick<NodeEngine, 'ensureNode' | 'start' | 'stop' | 'restart' | 'resume' | 'remove'> {
  return {
    ensureNode: (spec, key) => jobs.run(`ensure ${spec.id}`, key, () => actions.ensure(spec)),
    start: (spec, key) => jobs.run(`start ${spec.id}`, key, () => actions.start(spec)),
    stop: (id, { key, graceMs }) => jobs.run(`stop ${id}`, key, () => actions.stop(id, graceMs)),
    restart: (id, { key }) => jobs.run(`restart ${id}`, key, () => actions.restart(id)),
    resume: (id, { key }) => jobs.run(`resume ${id}`, key, () => actions.resume(id)),
    remove: (id, { key, disks }) => jobs.run(`remove ${id}`, key, () => actions.remove(id, disks)),
  }
}
