import { lchown, lstat, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SandlabError } from '../../domain/error.js'
import { overlayApiPath, overlayFile, trashDir } from '../../domain/layout.js'
import { nodeRefuses } from '../../domain/node.js'
import type { LabState } from '../../domain/state.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { imageOf, publishNode, recordOf, viewNode, type NodesContext } from '../../nodes/context.js'
import { startLocked } from '../../nodes/start.js'
import { stopLocked } from '../../nodes/stop.js'
import { dropUnusedLayers, goneFrom, layersOfKeptDisks } from '../../nodes/unused-layers.js'
import { createOverlay } from '../../storage/overlays.js'
import { writeSidecar } from '../../storage/sidecars.js'
import { reserveSpace } from '../../storage/space.js'
import { isInTrash, moveToTrash, takeFromTrash } from '../../storage/trash-store.js'
import { fsyncDirectory } from '../../system/durable-file.js'
import { errorOf } from '../../transactions/operation-record.js'
import type { BulkHandle } from '../../transactions/operations.js'
import type { Procedure } from '../../transactions/procedure.js'
import { forEachNode } from '../for-each-node.js'
import { lockNodes } from '../lock-nodes.js'
import {
  actorOfIntent,
  isThere,
  resetEntry,
  resetIntentSchema,
  type ResetIntent,
  type ResetNode,
} from './reset-intent.js'

/** What a fresh disk takes before its guest writes: its header and tables. */
export const FRESH_BYTES = 1024 ** 2

/**
 * Gives nodes fresh disks over their base image or a snapshot: all of them or none. What they had moves to the trash by
 * rename, so the size of a disk does not matter. Names, ids, network addresses, snapshots and further drives stay.
 */
export function resetProcedure(context: NodesContext): Procedure<ResetIntent> {
  return {
    kind: 'node.reset',
    intent: resetIntentSchema,
    resources: ({ nodes }) =>
      nodes.flatMap(({ record, entryId }) => [
        { type: 'trash' as const, id: entryId },
        { type: 'disk' as const, id: overlayApiPath(record.overlayFile) },
      ]),
    around: (intent, work) => aroundReset(context, intent, work),
    steps: [
      {
        title: 'Stopping what runs',
        do: (intent, op) => stopAll(context, intent, op),
        // A guest that was shut down is started again by whoever asked; its disk is as it left it.
      },
      {
        title: 'Moving the disks to the trash',
        do: (intent, op) =>
          forEachNode(intent.nodes, op, async (node) => {
            if (node.hadDisk) await moveToTrash(context.layout, resetEntry(intent, node, op.id))
          }),
        undo: ({ nodes }) => forEachNode(nodes, null, ({ entryId }) => takeFromTrash(context.layout, entryId)),
      },
      {
        title: 'Making fresh disks',
        do: ({ nodes }, op) => forEachNode(nodes, op, (node) => makeFreshDisk(context, node)),
        undo: ({ nodes }) => forEachNode(nodes, null, (node) => discardFreshDisk(context, node)),
      },
    ],
    commit: (draft, intent) => commitReset(draft, intent),
    after: [
      { title: 'Writing the records beside them', do: (intent, op) => showReset(context, intent, op) },
      { title: 'Starting what ran', do: (intent, op) => startAgain(context, intent, op) },
    ],
  }
}

function aroundReset(context: NodesContext, intent: ResetIntent, work: () => Promise<void>): Promise<void> {
  const ids = intent.nodes.map(({ record }) => record.id)
  const needs = [{ path: context.layout.overlays, bytes: ids.length * FRESH_BYTES }]
  // No two actions have one name: the second would be taken for the first.
  return lockNodes(context, ids, `reset (${intent.id.slice(0, 8)})`, () =>
    reserveSpace(needs, whatOf(intent.nodes), work),
  )
}

export function whatOf(nodes: readonly { record: { name: string } }[]): string {
  return nodes.length === 1 ? `reset ${nodes[0]?.record.name}` : `reset ${nodes.length} nodes`
}

async function stopAll(context: NodesContext, intent: ResetIntent, op: BulkHandle): Promise<void> {
  await forEachNode(intent.nodes, op, async (node) => {
    const before = recordOf(context, node.record.id)
    if (isAlive(context, before)) await stopLocked(context, before, intent.now, actorOfIntent(intent))
    await requireAsPlanned(context, node)
  })
  if (intent.nodes.every(({ layers }) => layers.length === 0)) return
  const ids = intent.nodes.map(({ record }) => record.id)
  intent.keptLayers = await layersOfKeptDisks(context, ids)
}

/** Stopped, with the disk that the plan was made for. Throws `wrong_status`, `busy`. */
async function requireAsPlanned(context: NodesContext, { record, hadDisk }: ResetNode): Promise<void> {
  const now = recordOf(context, record.id)
  const refusal = nodeRefuses('delete', viewNode(context, now).status)
  if (refusal !== undefined) throw new SandlabError('wrong_status', `${now.name} could not be stopped.`)
  const sameDisk = JSON.stringify(now.backing) === JSON.stringify(record.backing)
  if (sameDisk && (await isThere(overlayFile(context.layout, now.id))) === hadDisk) return
  throw new SandlabError('busy', `The disk of ${now.name} has changed at this moment. Try again.`)
}

/** Empty, over its base, and with the user of the disk that it replaces: its further drives belong to that one. */
async function makeFreshDisk(context: NodesContext, { record, fresh, entryId }: ResetNode): Promise<void> {
  const { layout, store } = context
  const image = imageOf(context, record.imageId)
  if (!image) throw new SandlabError('base_missing', `The base image ${record.imageId} was deleted meanwhile.`)
  const { backing } = fresh
  const layer = backing.kind === 'layer' ? store.data.layers.find(({ id }) => id === backing.layerId) : undefined
  if (backing.kind === 'layer' && !layer) throw snapshotGone()
  await createOverlay({
    layout,
    nodeId: record.id,
    imageFile: image.file,
    layerFile: layer?.file,
    virtualSizeBytes: fresh.diskBytes,
    baseVirtualSizeBytes: layer?.diskBytes ?? image.virtualSizeBytes,
  })
  const former = await lstat(join(trashDir(layout), entryId, record.overlayFile)).catch(() => undefined)
  if (former && process.getuid?.() === 0) await lchown(overlayFile(layout, record.id), former.uid, former.gid)
}

/** What has the disk's name while the former disk is in the trash is the fresh one: nobody else could make it. */
async function discardFreshDisk({ layout }: NodesContext, { record, hadDisk, entryId }: ResetNode): Promise<void> {
  if (hadDisk && !(await isInTrash(layout, entryId, record.overlayFile))) return
  await rm(overlayFile(layout, record.id), { force: true })
  await fsyncDirectory(layout.overlays)
}

function commitReset(draft: LabState, { nodes, at, snapshot, actor, keptLayers }: ResetIntent): void {
  const to = snapshot === null ? 'its base image' : `the snapshot ${snapshot}`
  for (const { record, fresh, hadDisk } of nodes) {
    const node = draft.nodes.find(({ id }) => id === record.id)
    if (!node) throw new SandlabError('not_found', `${record.name} was deleted meanwhile.`)
    const { backing } = fresh
    if (backing.kind === 'layer' && !draft.layers.some(({ id }) => id === backing.layerId)) throw snapshotGone()
    Object.assign(node, fresh, { desired: 'stopped', updatedAt: at })
    const kept = hadDisk ? ' What was on its disk is in the trash.' : ''
    const text = `Reset to ${to}.${kept}`
    node.events = [{ at, kind: 'changed' as const, text, actorLogin: actor.login }, ...node.events].slice(0, 100)
  }
  dropUnusedLayers(
    draft,
    nodes.flatMap(({ layers }) => layers.map(({ id }) => id)),
    keptLayers,
  )
}

async function showReset(context: NodesContext, intent: ResetIntent, op: BulkHandle): Promise<void> {
  const { layout, store } = context
  const moved = new Set<string>()
  for (const node of intent.nodes) {
    const candidates = node.layers.map(({ id }) => id).filter((id) => !moved.has(id))
    const unused = goneFrom(store.data, candidates)
    for (const id of unused) moved.add(id)
    if (unused.length > 0) await moveToTrash(layout, resetEntry(intent, node, op.id, unused))
  }
  await forEachNode(intent.nodes, null, async ({ record }) => {
    const now = store.data.nodes.find(({ id }) => id === record.id)
    if (!now) return
    await writeSidecar(layout, now)
    await context.observations.inspectStorage(now, imageOf(context, now.imageId))
    publishNode(context, now.id)
  })
  context.bus.publish('storage', 'trash', null)
}

async function startAgain(context: NodesContext, intent: ResetIntent, op: BulkHandle): Promise<void> {
  // While SandLabX itself is starting, nothing waits for guests to boot.
  const isRecovery = context.transactions.recovery === null
  if (isRecovery && intent.nodes.some(({ running }) => running)) {
    op.log('SandLabX ended before they were started again: start them yourself.')
  }
  await forEachNode(intent.nodes, null, async ({ record, running }, index) => {
    if (!running || isRecovery) return op.item(index, { state: 'succeeded' })
    await startLocked(context, record.id, actorOfIntent(intent)).then(
      () => op.item(index, { state: 'succeeded' }),
      (error: unknown) => {
        op.item(index, { state: 'failed', error: errorOf(error) })
        op.log(`${record.name} was reset, but could not be started.`)
      },
    )
  })
}

function snapshotGone(): SandlabError {
  return new SandlabError('not_found', 'The snapshot was deleted meanwhile. Nothing was changed.')
}
