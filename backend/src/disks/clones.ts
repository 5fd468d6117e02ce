import { SandlabError } from '../domain/error.js'
import type { CloneNode, NodeRecord } from '../domain/node.js'
import type { OperationPlan } from '../domain/plan.js'
import { cloneNode, type BegunClone } from '../nodes/clone.js'
import { freeSnapshotName, isAlive, prepareClone, type CloneRights } from '../nodes/clone-prepare.js'
import { planClone } from '../nodes/clone-plan.js'
import { recordOf, type Actor, type NodesContext } from '../nodes/context.js'
import { createSnapshot } from './snapshots/snapshot-create.js'

/**
 * Clones of nodes. One of a running node with further drives needs all its disks at one moment: a live snapshot is taken
 * of it and kept, and the clones are made from that. Everything else is `nodes/clone.ts`.
 */
export interface Clones {
  /** Back as soon as it has begun. Throws as `cloneNode` and `createSnapshot`. */
  clone(id: string, request: CloneNode, actor: Actor, rights: CloneRights): Promise<BegunClone>
  plan(id: string, request: CloneNode, actor: Actor, rights: CloneRights): Promise<OperationPlan>
}

export function createClones(context: NodesContext): Clones {
  return {
    async clone(id, request, actor, rights) {
      const source = recordOf(context, id)
      if (!needsOneMoment(context, source, request) || context.transactions.earlier(actor)) {
        return cloneNode(context, id, request, actor, rights)
      }
      await prepareClone(context, id, request, actor, rights) // what is refused is refused before the snapshot
      const name = freeSnapshotName(context, source, context.now().toISOString())
      await takeAll(context, source, name, actor)
      const fromIt = { ...request, snapshot: name, snapshotFirst: false }
      const begun = await cloneNode(context, id, fromIt, actor, rights)
      return { ...begun, warnings: [...begun.warnings, keptWarning(source, name)] }
    },
    async plan(id, request, actor, rights) {
      const source = recordOf(context, id)
      const plan = await planClone(context, id, request, actor, rights)
      if (!needsOneMoment(context, source, request) || plan.refusal) return plan
      const name = freeSnapshotName(context, source, context.now().toISOString())
      return {
        ...plan,
        steps: [`Take a live snapshot of all its disks at one moment, kept as ${name}`, ...plan.steps.slice(1)],
        creates: [{ type: 'snapshot', name }, ...plan.creates.filter(({ type }) => type !== 'layer')],
        warnings: [...plan.warnings, keptWarning(source, name)],
      }
    },
  }
}

function needsOneMoment(context: NodesContext, source: NodeRecord, { snapshot, to }: CloneNode): boolean {
  if (snapshot !== undefined || to || !isAlive(context, source)) return false
  return source.drives.some(({ source: kind }) => kind === 'automatic')
}

/** An operation of its own: it stays when the clone fails, as a snapshot like any other. */
async function takeAll(context: NodesContext, { id, name }: NodeRecord, snapshot: string, actor: Actor): Promise<void> {
  const note = 'All disks of the running node at one moment, for its clones.'
  const request = { name: snapshot, note, memory: false, freeze: false }
  const { operation, result } = await createSnapshot(context, id, request, { ...actor, request: null })
  await result.catch((error: unknown) => {
    throw new SandlabError('engine_failed', `${name} could not be cloned: the snapshot of its disks failed.`, {
      hint: `Nothing was changed. The operation ${operation.id} says why; or stop the node and try again.`,
      cause: error,
    })
  })
}

function keptWarning({ name }: NodeRecord, snapshot: string): string {
  return `${name} runs and has further drives: the clones are made from a snapshot of all of them, kept as ${snapshot}.`
}
