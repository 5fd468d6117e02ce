import { lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { SandlabError } from '../../domain/error.js'
import { layerIdSchema } from '../../domain/ids.js'
import type { Operation } from '../../domain/operation.js'
import type { OperationPlan } from '../../domain/plan.js'
import { trashEntrySchema } from '../../domain/trash.js'
import type { Actor, NodesContext } from '../../nodes/context.js'
import { layerFiles, nodeStorageSchema, removeRecords, storageOf } from '../../nodes/node-storage.js'
import { goneFrom, layersOfKeptDisks } from '../../nodes/unused-layers.js'
import { scanDisks, scanMemories } from '../../storage/orphan-scan.js'
import { isInTrash, moveToTrash, purgeTrash, trashIdOf } from '../../storage/trash-store.js'
import { errorOf } from '../../transactions/operation-record.js'
import type { Procedure } from '../../transactions/procedure.js'
import { onlyOne } from './attach.js'
import { inUse, refuseOpen } from './attach-source.js'
import { findDiscardable, type FoundOrphan } from './orphans.js'
import { refusalIn } from '../refusal-in.js'
import { readDiscardPath } from './storage-path.js'

const intentSchema = z.object({
  entry: trashEntrySchema,
  /** As people know it. */
  shown: z.string(),
  usedBytes: z.number(),
  /** Of a kept disk: what the state still has of its node, which goes with it. */
  storage: nodeStorageSchema,
  /** Found out by a step: layers that other kept disks stand on. */
  keptLayers: z.array(layerIdSchema),
})
type DiscardIntent = z.infer<typeof intentSchema>

/**
 * Moves a disk that no record names to the trash, with the record beside it; only forward from the commit. The snapshots
 * of a node that is gone go with its disk.
 */
export function discardProcedure(context: NodesContext): Procedure<DiscardIntent> {
  const { layout } = context
  const action = ({ entry }: DiscardIntent) => `discard (${entry.id})`
  return {
    kind: 'storage.discard',
    intent: intentSchema,
    resources: ({ shown, entry }) => [
      { type: 'trash', id: entry.id },
      { type: 'disk', id: `discard:${shown}`, finalPath: `/overlays/.trash/${entry.id}` },
    ],
    around: (intent, work) => onlyOne(context, readDiscardPath(layout, intent.shown).absolute, action(intent), work),
    steps: [
      {
        title: 'Looking whether it is free',
        async do(intent) {
          await requireOrphan(context, intent.shown, intent.entry.id)
          const { node } = intent.entry
          intent.keptLayers =
            node && intent.storage.layers.length > 0 ? await layersOfKeptDisks(context, [node.id]) : []
        },
      },
    ],
    commit(draft, { entry, storage, keptLayers }) {
      const { node } = entry
      if (!node || draft.nodes.some(({ id }) => id === node.id)) return
      removeRecords(draft, { record: node, storage, keepSnapshots: false, keptLayers })
    },
    after: [
      {
        title: 'Moving it to the trash',
        async do({ entry, shown, storage }, op) {
          const [disk] = entry.files
          const { absolute } = readDiscardPath(layout, shown)
          // Tried again by a later start: another discard may have moved it by then.
          if (disk && !(await exists(absolute)) && !(await isInTrash(layout, entry.id, disk.name))) {
            return purgeTrash(layout, entry.id)
          }
          const gone = goneFrom(
            context.store.data,
            storage.layers.map(({ id }) => id),
          )
          const files = [...entry.files, ...gone.flatMap(layerFiles).map((name) => ({ name, was: name }))]
          const layers = [...entry.layers, ...storage.layers.filter(({ id }) => gone.includes(id))]
          await moveToTrash(layout, { ...entry, files, layers, operationId: op.id })
          context.bus.publish('storage', 'orphans', null)
          context.bus.publish('storage', 'trash', null)
        },
      },
    ],
  }
}

/** Begins it. Throws `storage_not_found`, `storage_in_use`, `path_not_allowed`, `key_reused`. */
export async function discardOrphan(context: NodesContext, path: string, actor: Actor): Promise<Operation> {
  const before = context.transactions.earlier(actor)
  if (before) return before.operation
  const intent = await prepareDiscard(context, path, actor)
  const earlier = context.transactions.earlier(actor) // a request that came at the same time
  if (earlier) return earlier.operation
  const { operation, result } = context.transactions.run(discardProcedure(context), intent, {
    title: `Discard ${intent.shown}`,
    actor,
    target: null,
    cancellable: false,
    request: actor.request ?? null,
    items: [],
  })
  result.catch(() => undefined) // the operation itself carries the failure
  return operation
}

export async function planDiscard(context: NodesContext, path: string, actor: Actor): Promise<OperationPlan> {
  const { value: intent, refusal } = await refusalIn(() => prepareDiscard(context, path, actor))
  const names = intent?.storage.snapshots.map(({ name }) => name) ?? []
  return {
    kind: 'storage.discard',
    title: `Discard ${intent?.shown ?? path.slice(0, 300)}`,
    steps: ['Move it to the trash, with the record beside it'],
    space: [],
    creates: [],
    replaces: [],
    files: intent ? [{ path: intent.shown, bytes: intent.usedBytes, fate: 'moves to the trash' }] : [],
    warnings: names.length > 0 ? [`Its snapshots go with it: ${names.join(', ')}.`] : [],
    refusal: refusal && errorOf(refusal),
  }
}

async function prepareDiscard(context: NodesContext, path: string, actor: Actor): Promise<DiscardIntent> {
  const { layout, store } = context
  const read = readDiscardPath(layout, path)
  if (read.place === 'outside') {
    throw new SandlabError('path_not_allowed', `${read.shown} is in none of our folders: it is not ours to discard.`, {
      hint: 'Remove it yourself, if it is yours.',
    })
  }
  const { disk, former } = await requireOrphan(context, read.shown, null)
  const at = context.now().toISOString()
  const node = former.kind === 'disk' ? former.record : null
  const stem = /^(node|layer|drive)_[0-9a-f-]{36}(?=\.qcow2$)/.exec(disk.name)?.[0]
  const beside = stem === undefined ? [] : [`${stem}.json`, ...(former.kind === 'disk' ? [`${stem}.efivars.fd`] : [])]
  const there = await Promise.all(
    beside.map(async (name) => ((await exists(join(layout.overlays, name))) ? [name] : [])),
  )
  return {
    entry: {
      kind: 'sandlabx-trash',
      schema: 1,
      id: trashIdOf(at, disk.name.replaceAll(/[^0-9A-Za-z._-]/g, '-').slice(0, 60)),
      at,
      reason: 'orphan',
      title: titleOf(former, disk.name),
      ownerId: former.ownerId,
      actorLogin: actor.login,
      operationId: null,
      node,
      layers: former.layer ? [former.layer.record] : [],
      snapshots: former.layer?.snapshots ?? [],
      drives: former.drive ? [former.drive.record] : [],
      files: [{ name: disk.name, was: disk.path }, ...there.flat().map((name) => ({ name, was: name }))],
    },
    shown: disk.path,
    usedBytes: disk.usedBytes,
    storage: node ? storageOf(store.data, node) : { layers: [], snapshots: [] },
    keptLayers: [],
  }
}

function titleOf({ kind, nodeName }: FoundOrphan['former'], name: string): string {
  if (kind === 'memory') return `memory of a suspended guest, ${name}`
  return nodeName === null ? `disk ${name}` : `disk of ${nodeName}, kept when it was deleted`
}

/** Throws `storage_not_found`, `storage_in_use` when it is not an orphan, or others stand on it. */
async function requireOrphan(context: NodesContext, shown: string, trashId: string | null): Promise<FoundOrphan> {
  const { operations } = context
  // Our own operation names the file as well.
  const list = () => operations.list().filter(({ resources }) => !resources.some(({ id }) => id === trashId))
  const orphans = await findDiscardable({ ...context, operations: { ...operations, list } })
  const found = orphans.find(({ disk }) => disk.path === shown)
  if (!found) {
    const { layout } = context
    const there = [...(await scanDisks(layout)), ...(await scanMemories(layout))]
    if (there.some(({ path }) => path === shown)) {
      throw new SandlabError('storage_in_use', `${shown} is no orphan: a record names it, or something stands on it.`, {
        hint: 'Delete the node, snapshot or image that it belongs to instead.',
      })
    }
    throw new SandlabError('storage_not_found', `There is no disk ${shown.slice(0, 300)}.`, {
      hint: 'See `sandlabx storage orphaned`.',
    })
  }
  const above = orphans.find(({ disk }) => disk.backingPath === shown)
  if (above) throw inUse(shown, `${above.disk.path} stands on it`)
  await refuseOpen(shown, found.disk.inode)
  return found
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    (found) => found.isFile(),
    () => false,
  )
}
