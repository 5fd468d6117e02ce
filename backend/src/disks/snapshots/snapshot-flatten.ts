import { rm } from 'node:fs/promises'
import { z } from 'zod'
import { SandlabError } from '../../domain/error.js'
import type { LayerId } from '../../domain/ids.js'
import { chainOf, MAX_CHAIN_DEPTH, type Backing, type Layer } from '../../domain/layer.js'
import type { NodeRecord } from '../../domain/node.js'
import { imageOf, publishNode, recordOf, type Actor, type NodesContext } from '../../nodes/context.js'
import { dropUnusedLayers } from '../../nodes/unused-layers.js'
import { discardLayer } from '../../storage/layers.js'
import { writeSidecar } from '../../storage/sidecars.js'
import { reserveSpace } from '../../storage/space.js'
import { usedBytes } from '../../storage/overlays.js'
import type { Procedure } from '../../transactions/procedure.js'
import { layerBytes } from '../chains.js'
import { keptLayers } from './layer-children.js'
import { applyMerge, mergeDown, mergeDownSchema, publishMerged, takeBackMerge } from './merge-down.js'
import { diskPath, isSameBacking, ownDisk, type OwnDisk } from '../own-disks.js'
import { stagingOf } from './snapshot-intent.js'

const intentSchema = z.object({
  id: z.uuid(),
  nodeName: z.string(),
  merge: mergeDownSchema,
  needBytes: z.int().nonnegative(),
  /** Layers that nothing may stand on any more afterwards. */
  gone: z.array(mergeDownSchema.shape.layerIds.element),
  /** Found out by a step: layers of disks that were kept when their nodes were deleted. */
  kept: z.array(mergeDownSchema.shape.layerIds.element),
})
type FlattenIntent = z.infer<typeof intentSchema>

/**
 * A disk over a chain that is as deep as allowed takes up all of it, and stands on its base again. Snapshots keep their
 * layers; those that were there only for this disk are removed. Goes on after a kill.
 */
export function flattenProcedure(context: NodesContext): Procedure<FlattenIntent> {
  const { layout } = context
  return {
    kind: 'snapshot.flatten',
    intent: intentSchema,
    resumable: true,
    resources: ({ merge }) => [{ type: 'disk', id: `${merge.nodeId}/${merge.driveId}` }],
    around: ({ merge }, work) => context.locks.run(merge.nodeId, 'shorten its chain of disks', work),
    steps: [
      {
        title: 'Copying up what lies below',
        async do(intent, op) {
          const { merge, needBytes, nodeName } = intent
          intent.kept = await keptLayers(context)
          const needs = [{ path: layout.overlays, bytes: needBytes }]
          await reserveSpace(needs, `shorten the chain of ${nodeName}`, () => mergeDown(context, intent, merge, op))
        },
        undo: (intent) => takeBackMerge(context, intent, intent.merge),
      },
    ],
    commit(draft, { merge, nodeName, gone, kept }) {
      const record = draft.nodes.find(({ id }) => id === merge.nodeId)
      const disk = record && ownDisk(record, merge.driveId)
      if (!disk || !isSameBacking(disk.backing, merge.from)) {
        throw new SandlabError('busy', `The disks of ${nodeName} have changed meanwhile. Try again.`)
      }
      applyMerge(draft, merge)
      dropUnusedLayers(draft, gone, kept)
    },
    after: [
      {
        title: 'Giving it the name of the disk',
        async do(intent) {
          await publishMerged(context, intent, intent.merge)
          for (const id of intent.gone) {
            if (!context.store.data.layers.some((layer) => layer.id === id)) await discardLayer(layout, id)
          }
          await rm(stagingOf(layout, intent), { recursive: true, force: true })
          await lookAgain(context, intent.merge.nodeId)
        },
      },
    ],
  }
}

/** After disks have changed: the record beside them, a look at them, and the page is told. */
export async function lookAgain(context: NodesContext, nodeId: string): Promise<void> {
  const record = context.store.data.nodes.find(({ id }) => id === nodeId)
  if (!record) return
  await writeSidecar(context.layout, record)
  await context.observations.inspectStorage(record, imageOf(context, record.imageId))
  publishNode(context, record.id)
}

export function isDeep(context: NodesContext, { backing }: Pick<OwnDisk, 'backing'>): boolean {
  return chainOf(context.store.data.layers, backing).layers.length >= MAX_CHAIN_DEPTH
}

/**
 * Shortens what is too deep for one more layer, each disk as an operation of its own. Throws what speaks against it,
 * with advice.
 */
export async function flattenDeep(
  context: NodesContext,
  id: string,
  driveIds: readonly string[],
  actor: Actor,
): Promise<void> {
  const record = recordOf(context, id)
  for (const driveId of driveIds) {
    const disk = ownDisk(record, driveId)
    if (!disk || !isDeep(context, disk)) continue
    const intent = await flattenIntent(context, record, disk)
    const title = `Shorten the chain of ${record.name}${driveId === 'root' ? '' : `: ${driveId}`}`
    const { result } = context.transactions.run(flattenProcedure(context), intent, {
      title,
      actor: { id: actor.id, login: actor.login },
      target: { type: 'node', id: record.id },
      cancellable: true,
    })
    await result.catch((error: unknown) => {
      const code = error instanceof SandlabError ? error.code : 'internal'
      const why = error instanceof SandlabError ? ` ${error.message}` : ''
      throw new SandlabError(
        code,
        `${record.name} has ${MAX_CHAIN_DEPTH} layers of snapshots under its disk, and they could not be merged.${why}`,
        { hint: 'Delete a snapshot that is no longer needed, or free disk space; then try again.', cause: error },
      )
    })
  }
}

async function flattenIntent(context: NodesContext, record: NodeRecord, disk: OwnDisk): Promise<FlattenIntent> {
  const { layers, base } = chainOf(context.store.data.layers, disk.backing)
  // A full copy at the end is as good as a base image.
  const bottom = base ? undefined : layers.at(-1)
  const merged = bottom ? layers.slice(0, -1) : layers
  const onto: Backing = bottom ? { kind: 'layer', layerId: bottom.id } : { kind: 'image' }
  return {
    id: crypto.randomUUID(),
    nodeName: record.name,
    merge: {
      nodeId: record.id,
      driveId: disk.driveId,
      layerIds: merged.map((layer) => layer.id),
      from: disk.backing,
      onto,
    },
    needBytes: await flattenBytes(context, disk, merged),
    gone: merged.map((layer): LayerId => layer.id),
    kept: [],
  }
}

/** What shortening takes, at most: all that the files hold. */
export async function flattenBytes(
  context: NodesContext,
  disk: OwnDisk,
  layers: readonly Layer[] = chainOf(context.store.data.layers, disk.backing).layers,
): Promise<number> {
  const own = (await usedBytes(diskPath(context.layout, disk))) ?? 0
  const below = await Promise.all(layers.map(({ id }) => layerBytes(context, id)))
  return below.reduce((sum, bytes) => sum + bytes, own)
}
