import { ROOT_DRIVE } from '../domain/drive.js'
import { SandlabError } from '../domain/error.js'
import type { OperationId } from '../domain/ids.js'
import { chainOf, MAX_CHAIN_DEPTH, type Backing, type Chain, type Layer } from '../domain/layer.js'
import { imageFile, layerFileName, liveLayerFile, overlayFile } from '../domain/layout.js'
import { nodeRefuses, type NodeRecord } from '../domain/node.js'
import type { FrozenDisk } from '../hosts/engine-disks.js'
import { copyToLayer, mergeToLayer } from '../storage/layer-copies.js'
import { isUntouched, layerProgress, protectLayer, turnBack, turnIntoLayer } from '../storage/layers.js'
import type { LayerFacts } from '../storage/layers.js'
import { backingNameOf } from '../storage/overlays.js'
import type { BulkHandle } from '../transactions/operations.js'
import { cloneStaging, type CloneIntent } from './clone-intent.js'
import { isAlive } from './clone-prepare.js'
import { imageOf, recordOf, viewNode, type NodesContext } from './context.js'
import { engineFailure } from './engine-failure.js'
import { exists } from '../system/exists.js'

/** Disks that stand still for a clone of this process, until they are released. */
const frozen = new Map<string, FrozenDisk>()

/** What decides whether a source can be read. */
type Looking = Pick<CloneIntent, 'source' | 'snapshotId' | 'layerName' | 'layerId'>

/** Looks whether the source can be cloned now; call alone on it. Throws `wrong_status`, `node_broken`, `busy`. */
export async function requireCloneable(context: NodesContext, { source, snapshotId, layerName }: Looking) {
  const record = recordOf(context, source.id)
  if (snapshotId !== null && layerName === null) return
  // Asked now: after a restart it may run and nobody has looked yet.
  context.observations.setEngine(await context.engine.inspect(record.id))
  const refusal = nodeRefuses('clone', viewNode(context, record).status)
  if (refusal !== undefined) throw new SandlabError('wrong_status', `${record.name}: ${refusal}`)
  if (isAlive(context, record)) return
  if (await exists(liveLayerFile(context.layout, record.id))) {
    throw new SandlabError(
      'busy',
      `${record.name} can't be cloned yet: what its guest wrote last is not in its disk.`,
      {
        hint: 'Start it once, or free disk space and start SandLabX again; then try again. Nothing was changed.',
      },
    )
  }
}

/** As `requireCloneable`, for the files of a source that does not run. */
export async function requireWholeDisk(context: NodesContext, { source, snapshotId, layerName, layerId }: Looking) {
  const record = recordOf(context, source.id)
  if ((snapshotId !== null && layerName === null) || isAlive(context, record)) return
  if ((await layerProgress(context.layout, source.overlayFile, layerId)) !== 'absent') return // by this clone, before a kill
  const fault = await context.observations.inspectStorage(record, imageOf(context, record.imageId))
  if (fault !== undefined) {
    throw new SandlabError('node_broken', `${record.name} can't be cloned: ${fault}`, { hint: 'Nothing was changed.' })
  }
}

/**
 * Finds out what linked clones stand on, and makes a layer of the source's disk where one is needed; notes both in the
 * intent. May be called again after a kill.
 */
export async function layTheBase(context: NodesContext, intent: CloneIntent, op: BulkHandle): Promise<void> {
  const source = recordOf(context, intent.source.id)
  const facts = (await needsLayer(context, intent, source)) ? await makeLayer(context, intent, source, op) : undefined
  if (facts) intent.layer = layerRecord(context, intent, facts, op.id)
  if (intent.snapshotId === null) {
    intent.from = intent.layer ? { kind: 'layer', layerId: intent.layer.id } : source.backing
  }
  if (!intent.full) for (const record of intent.records) record.backing = intent.from
}

/** The source has its disk again as it was; also when only a part was done. */
export async function takeBackLayer(context: NodesContext, intent: CloneIntent): Promise<void> {
  await release(intent)
  await turnBack(context.layout, intent.source.overlayFile, intent.layerId)
}

async function needsLayer(context: NodesContext, intent: CloneIntent, source: NodeRecord): Promise<boolean> {
  if (intent.layerName !== null) return true
  if (intent.snapshotId !== null || intent.full) return false
  if ((await layerProgress(context.layout, source.overlayFile, intent.layerId)) !== 'absent') return true
  // A disk that no guest has written to holds nothing: its clones stand on what it stands on.
  return isAlive(context, source) || !(await isUntouched(overlayFile(context.layout, source.id)))
}

async function makeLayer(
  context: NodesContext,
  intent: CloneIntent,
  source: NodeRecord,
  op: BulkHandle,
): Promise<LayerFacts> {
  const { layout } = context
  const { layerId } = intent
  const chain = chainOf(context.store.data.layers, source.backing)
  const progress = await layerProgress(layout, source.overlayFile, layerId)
  if (progress === 'copied') return protectLayer(layout, layerId)
  intent.sourceMoved = progress !== 'absent' || (!isAlive(context, source) && !isDeep(chain))
  if (intent.sourceMoved) {
    const staging = `${cloneStaging(layout, intent)}/source.qcow2`
    return turnIntoLayer({ layout, file: source.overlayFile, layerId, staging, virtualSizeBytes: source.diskBytes })
  }
  return whileStill(context, intent, source, async (from) => {
    const image = imageOf(context, source.imageId)
    const backing = await backingNameOf(layout, image, chain)
    const copy = { layout, layerId, from, backing, diskBytes: source.diskBytes, signal: op.signal }
    return isDeep(chain) ? mergeToLayer({ ...copy, ...(await mergeOf(context, chain, source)) }) : copyToLayer(copy)
  })
}

/** The disk of a running source is frozen meanwhile: its guest pauses for milliseconds and goes on writing elsewhere. */
export async function whileStill<T>(
  context: NodesContext,
  intent: Pick<CloneIntent, 'id'>,
  source: NodeRecord,
  work: (disk: string) => Promise<T>,
): Promise<T> {
  if (!isAlive(context, source)) return work(overlayFile(context.layout, source.id))
  const disk = await context.engine.freezeDisk(source.id, { key: intent.id }).catch((error: unknown) => {
    throw engineFailure(error, `Could not freeze the disk of ${source.name}`)
  })
  frozen.set(intent.id, disk)
  try {
    return await work(disk.frozenFile)
  } finally {
    await release(intent).catch((error: unknown) => {
      // Nothing is lost: the engine makes up for it at the next freeze, or before the next start.
      context.log.warn({ err: error, nodeId: source.id }, 'a frozen disk could not be released yet')
    })
  }
}

async function release({ id }: Pick<CloneIntent, 'id'>): Promise<void> {
  await frozen.get(id)?.release()
  frozen.delete(id)
}

/** Everything down to the base image goes into one layer; where a full copy is at the end, down to that. */
async function mergeOf(context: NodesContext, chain: Chain, source: NodeRecord) {
  const { layout } = context
  const path = (layer: Layer) => `${layout.overlays}/${layer.file}`
  const last = chain.base ? undefined : chain.layers.at(-1)
  const merged = (last ? chain.layers.slice(0, -1) : chain.layers).map(path)
  if (last) return { merged, onto: { path: path(last), name: last.file } }
  const image = imageOf(context, source.imageId)
  const name = await backingNameOf(layout, image, { layers: [], base: true, missing: null })
  return { merged, onto: { path: imageFile(layout, image?.file ?? ''), name: name ?? '' } }
}

function layerRecord(context: NodesContext, intent: CloneIntent, facts: LayerFacts, operationId: OperationId): Layer {
  const source = recordOf(context, intent.source.id)
  const chain = chainOf(context.store.data.layers, source.backing)
  return {
    id: intent.layerId,
    file: layerFileName(intent.layerId),
    nodeId: source.id,
    driveId: ROOT_DRIVE,
    imageId: source.imageId,
    base: source.base,
    backing: isDeep(chain) ? bottomOf(chain) : source.backing,
    diskBytes: source.diskBytes,
    ...facts,
    createdAt: intent.at,
    operationId,
  }
}

function isDeep(chain: Chain): boolean {
  return chain.layers.length >= MAX_CHAIN_DEPTH
}

/** What is left under a chain that was merged. */
function bottomOf(chain: Chain): Backing {
  const last = chain.base ? undefined : chain.layers.at(-1)
  return last ? { kind: 'layer', layerId: last.id } : { kind: 'image' }
}
