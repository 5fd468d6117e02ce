import { SandlabError } from '../domain/error.js'
import type { LayerId } from '../domain/ids.js'
import type { NodeRecord } from '../domain/node.js'
import type { LabState } from '../domain/state.js'
import type { BulkHandle } from '../transactions/operations.js'
import type { CloneIntent } from './clone-intent.js'
import { isAlive } from './clone-prepare.js'
import { saveRecord, type NodesContext } from './context.js'
import { engineFailure } from './engine-failure.js'
import { removeRecords, trashNode, type NodeStorage } from './node-storage.js'
import { forgetScreen } from './screen.js'
import { layersOfKeptDisks } from './unused-layers.js'

/** What an operation that puts nodes in the place of others must know. */
export type Replacing = Pick<
  CloneIntent,
  'id' | 'at' | 'replaced' | 'replacedBy' | 'replacedStorage' | 'keptLayers' | 'from' | 'actor'
>

/** How a warning names what makes room. Idempotent is what scripts say, and wins over force. */
export function replaceWarning({ name, id }: NodeRecord, by: CloneIntent['replacedBy']): string {
  const why = by === 'idempotent' ? 'Idempotent' : 'Forced'
  return `${why}: the node ${name} (${id}) exists already and moves to the trash, whole, with its record.`
}

/** What stood in the way must be what it was when the operation was planned. Throws `busy`. */
export function requireSameReplaced(context: NodesContext, { replaced }: CloneIntent): void {
  for (const record of replaced) {
    const now = context.store.data.nodes.find(({ id }) => id === record.id)
    if (!now || JSON.stringify(now.backing) === JSON.stringify(record.backing)) continue
    throw new SandlabError('busy', `${record.name}, which would be replaced, has changed. Try again.`)
  }
}

/** Guests shut down as with a stop; what runs is never ended without a word, and its disk goes whole. */
export async function stopReplaced(context: NodesContext, intent: Replacing, op: BulkHandle): Promise<void> {
  const current = (id: string) => context.store.data.nodes.find((node) => node.id === id)
  for (const { id } of intent.replaced) {
    const record = current(id)
    if (record) context.observations.setEngine(await context.engine.inspect(id))
    if (!record || !isAlive(context, record)) continue
    op.log(`Stopping ${record.name}, which is replaced.`)
    context.observations.setTransition(id, 'stopping')
    try {
      await saveRecord(context, id, (draft) => void (draft.desired = 'stopped'))
      const { node } = await context.engine
        .stop(id, { key: `replace-${intent.id}`, graceMs: context.rules.stopGraceMs })
        .wait()
      context.observations.setEngine(node)
    } catch (error) {
      throw engineFailure(error, `Could not stop ${record.name}, which would be replaced`)
    } finally {
      context.observations.setTransition(id, undefined)
    }
  }
  if (intent.replacedStorage.every(({ layers }) => layers.length === 0)) return
  const leaving = intent.replaced.map(({ id }) => id)
  intent.keptLayers = await layersOfKeptDisks(context, leaving)
}

/** Within the commit: the nodes that make room are no longer there. */
export function dropReplaced(draft: LabState, intent: Replacing): void {
  for (const [index, record] of intent.replaced.entries()) {
    const storage = intent.replacedStorage[index] ?? NOTHING
    const keptLayers = [...intent.keptLayers, ...standing(intent)]
    removeRecords(draft, { record, storage, keepSnapshots: false, keptLayers })
  }
}

/** What the clones are about to stand on. */
function standing({ from }: Replacing): LayerId[] {
  return from.kind === 'layer' ? [from.layerId] : []
}

/** After the commit, again and again until it is done. */
export async function trashReplaced(context: NodesContext, intent: Replacing, op: BulkHandle): Promise<void> {
  for (const [index, record] of intent.replaced.entries()) {
    context.observations.forget(record.id)
    context.bus.publish('nodes', record.id, null, record.ownerId)
    await forgetScreen(context, record.id)
    await letGo(context, record)
    const storage = intent.replacedStorage[index] ?? NOTHING
    const { at, actor } = intent
    const about = { at, reason: 'replaced' as const, actorLogin: actor.login, operationId: op.id, keepSnapshots: false }
    await trashNode(context, { record, storage, ...about })
    op.log(replaceWarning(record, intent.replacedBy))
  }
}

const NOTHING: NodeStorage = { layers: [], snapshots: [] }

/** The engine forgets a node; its disk stays where it is. */
export async function letGo(context: NodesContext, record: NodeRecord): Promise<void> {
  await context.engine
    .remove(record.id, { key: `remove-${record.id}`, disks: 'keep' })
    .wait()
    .catch((error: unknown) => {
      throw engineFailure(error, `${record.name} was deleted, but its storage is still held`)
    })
}
