import { SandlabError } from '../domain/error.js'
import { overlayApiPath } from '../domain/layout.js'
import type { CloneNode, NodeRecord } from '../domain/node.js'
import type { Operation } from '../domain/operation.js'
import type { LabState } from '../domain/state.js'
import { measureSpace, noSpace } from '../storage/space.js'
import { writeSidecar } from '../storage/sidecars.js'
import { createLimiter } from '../system/limiter.js'
import { anyProcedure, type AnyProcedure, type Procedure } from '../transactions/procedure.js'
import { cloneIntentSchema, type CloneIntent } from './clone-intent.js'
import { discardClones, makeClones, MAKING, removeCloneStaging } from './clone-disks.js'
import { titleOf, warningsOf, whatOf } from './clone-plan.js'
import { refuseRunningDrives } from './clone-drive-plan.js'
import { commitDrives, layTheDrives, takeBackDrives } from './clone-drives.js'
import { isAlive, prepareClone, type CloneRights } from './clone-prepare.js'
import { aroundClone, refuseEarly } from './clone-reserve.js'
import { layTheBase, requireCloneable, requireWholeDisk, takeBackLayer } from './clone-source.js'
import { snapshotsBefore } from './clone-snapshot.js'
import { imageOf, publishNode, recordOf, type Actor, type NodesContext } from './context.js'
import { noSuchImage, refuseTaken } from './new-record.js'
import { dropReplaced, requireSameReplaced, stopReplaced, trashReplaced } from './replace.js'
import { sendNode } from './send.js'
import { startAll } from './start-all.js'

const SHOWN_AT_ONCE = 8

/**
 * Makes nodes like another one: linked, over the frozen disk of the source, or full, with a disk that needs no other
 * file. A full one goes on after a kill; a linked one takes milliseconds and is taken back.
 */
export function cloneProcedure(context: NodesContext): Procedure<CloneIntent> {
  return {
    kind: 'node.clone',
    intent: cloneIntentSchema,
    resources: resourcesOf,
    around: (intent, work) => aroundClone(context, intent, work),
    steps: [
      {
        title: 'Looking at the source',
        async do(intent) {
          refuseEarly(intent)
          requireSameReplaced(context, intent)
          await requireCloneable(context, intent)
          await requireWholeDisk(context, intent)
          refuseRunningDrives(intent.source, intent.drives, isAlive(context, recordOf(context, intent.source.id)))
        },
      },
      {
        title: 'Holding the disk of the source still',
        async do(intent, op) {
          await layTheBase(context, intent, op)
          await layTheDrives(context, intent, op)
        },
        async undo(intent) {
          await takeBackDrives(context, intent)
          await takeBackLayer(context, intent)
        },
      },
      {
        title: MAKING,
        do: (intent, op) => makeClones(context, intent, op),
        undo: (intent) => discardClones(context, intent),
      },
      {
        title: 'Stopping what is replaced',
        do: (intent, op) => stopReplaced(context, intent, op),
        // A node that was stopped stays stopped: nothing of it is lost.
      },
    ],
    commit: (draft, intent) => commitClone(draft, intent),
    after: [
      { title: 'Showing the clones', do: (intent) => showClones(context, intent) },
      { title: 'Moving what is replaced to the trash', do: (intent, op) => trashReplaced(context, intent, op) },
      {
        title: 'Starting the clones',
        async do({ records, start, actor }, op) {
          // While SandLabX itself is starting, nothing waits for guests to boot.
          if (start && context.transactions.recovery !== null) await startAll(context, records, op, actor)
          else if (start) op.log('SandLabX ended before they were started: start them yourself.')
          if (!start) for (const index of records.keys()) op.item(index, { state: 'succeeded' })
        },
      },
    ],
  }
}

/** For the table of all procedures: whether one goes on after a kill is its own matter. */
export function anyCloneProcedure(context: NodesContext): AnyProcedure {
  const procedure = cloneProcedure(context)
  return {
    kind: procedure.kind,
    bind: (intent) => anyProcedure({ ...procedure, resumable: cloneIntentSchema.parse(intent).full }).bind(intent),
  }
}

export interface BegunClone {
  operation: Operation
  /** For the audit log: what makes room, and what was said about it. */
  replaced: NodeRecord[]
  warnings: string[]
}

/**
 * Begins to clone; back as soon as it has begun. A request that came before with the same key is answered with what it
 * began. Throws `not_found`, `wrong_status`, `name_taken`, `quota_reached`, `no_space`, `bad_request`, `key_reused`.
 */
export async function cloneNode(
  context: NodesContext,
  id: string,
  request: CloneNode,
  actor: Actor,
  rights: CloneRights,
): Promise<BegunClone> {
  if (request.to) {
    return { operation: await sendNode(context, id, request, actor), replaced: [], warnings: [] }
  }
  const earlier = context.transactions.earlier(actor)
  if (earlier) return { operation: earlier.operation, replaced: [], warnings: [] }
  const intent = await prepareClone(context, id, request, actor, rights)
  refuseRunningDrives(intent.source, intent.drives, isAlive(context, intent.source))
  const [space] = await measureSpace([{ path: context.layout.overlays, bytes: intent.needBytes }])
  if (space && space.freeUpBytes > 0) throw noSpace(space, whatOf(intent))
  const { records, full } = intent
  const { operation } = context.transactions.run({ ...cloneProcedure(context), resumable: full }, intent, {
    title: titleOf(intent),
    actor,
    target: records.length === 1 && records[0] ? { type: 'node', id: records[0].id } : null,
    cancellable: true,
    request: actor.request ?? null,
    items: records.map(({ id: cloneId, name }) => ({ id: cloneId, name })),
  })
  return { operation, replaced: intent.replaced, warnings: warningsOf(context, intent) }
}

function resourcesOf({ records, replaced, layerId, drives, id }: CloneIntent): Operation['resources'] {
  return [
    { type: 'layer', id: layerId },
    ...drives.flatMap((drive) => (drive.file === null ? [] : [{ type: 'layer' as const, id: drive.layerId }])),
    { type: 'folder', id: `/overlays/.staging/${id}` },
    ...records.map(({ overlayFile }) => ({ type: 'disk' as const, id: overlayApiPath(overlayFile) })),
    ...records.flatMap((record) =>
      record.drives.map(({ file }) => ({ type: 'drive' as const, id: overlayApiPath(file) })),
    ),
    ...replaced.map(({ overlayFile }) => ({ type: 'trash' as const, id: overlayApiPath(overlayFile) })),
  ]
}

/** What may have changed since we looked is looked at again. */
function commitClone(draft: LabState, intent: CloneIntent): void {
  const { records, layer, from, at, actor } = intent
  const source = draft.nodes.find(({ id }) => id === intent.source.id)
  if (!source) throw new SandlabError('not_found', `${intent.source.name} was deleted meanwhile.`)
  if (layer) draft.layers.push(layer)
  if (layer) draft.snapshots.push(...snapshotsBefore(draft, intent, layer))
  if (layer && intent.sourceMoved) {
    source.backing = { kind: 'layer', layerId: layer.id }
    source.updatedAt = at
  }
  const names = records.map(({ name }) => name)
  const shown = names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')
  source.events = [
    { at, kind: 'changed' as const, text: `Cloned to ${shown}.`, actorLogin: actor.login },
    ...source.events,
  ].slice(0, 100)
  commitDrives(draft, intent)
  const standing = intent.drives.flatMap((drive) => (drive.from.kind === 'layer' ? [drive.from.layerId] : []))
  dropReplaced(draft, { ...intent, keptLayers: [...intent.keptLayers, ...standing] })
  if (from.kind === 'layer' && !intent.full && !draft.layers.some(({ id }) => id === from.layerId)) {
    throw new SandlabError('not_found', 'The snapshot was deleted meanwhile.')
  }
  for (const record of records) {
    refuseTaken(draft, record.name, record.ownerId)
    if (!draft.images.some(({ id }) => id === record.imageId)) throw noSuchImage(record.imageId)
    if (draft.nodes.some(({ mac }) => mac === record.mac)) {
      throw new SandlabError('busy', `Could not make ${record.name}: its network address is taken. Try again.`)
    }
  }
  draft.nodes.push(...records)
}

/** Records beside the disks, and the page. */
async function showClones(context: NodesContext, intent: CloneIntent): Promise<void> {
  const limiter = createLimiter(SHOWN_AT_ONCE)
  const show = async (id: string) => {
    const record = context.store.data.nodes.find((node) => node.id === id)
    if (!record) return
    const look = context.observations.inspectStorage(record, imageOf(context, record.imageId))
    await Promise.all([writeSidecar(context.layout, record), look])
    publishNode(context, record.id)
  }
  await Promise.all([
    removeCloneStaging(context, intent),
    ...[intent.source, ...intent.records].map(({ id }) => limiter.run(() => show(id))),
  ])
}
