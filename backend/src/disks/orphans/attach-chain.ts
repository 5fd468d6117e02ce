import { SandlabError } from '../../domain/error.js'
import type { ImageId } from '../../domain/ids.js'
import type { Image } from '../../domain/image.js'
import { MAX_CHAIN_DEPTH, type Backing, type Layer } from '../../domain/layer.js'
import { layerFileName } from '../../domain/layout.js'
import type { NodesContext } from '../../nodes/context.js'
import { imageLike } from '../../nodes/receive-prepare.js'
import type { LayerSidecar } from '../../state/sidecar-records.js'
import { lookAtDisk } from '../../storage/orphan-scan.js'

/** What a disk stands on, as its header says, brought together with the records. */
export interface FoundChain {
  backing: Backing
  /** Without a record in the state, and needed. */
  layers: Layer[]
  /** At the end; null when the disk needs no other file. */
  image: Image | null
  /** The base image's file is another one here: how the disk's header must name it. */
  rebase: boolean
  warnings: string[]
}

export interface ChainQuestion {
  /** The disk, in words: `/overlays/x.qcow2`. */
  shown: string
  /** As `/images/…` or `/overlays/…`; null: it stands alone. */
  backingPath: string | null
  /** sha256 that its base image had, where a record or a config tells it. */
  baseSha256: string | null
  rebaseTo: ImageId | null
  /** Layers' records beside their files. */
  sidecars: ReadonlyMap<string, LayerSidecar['record']>
}

const LAYER = /^\/overlays\/layer_([0-9a-f-]{36})\.qcow2$/

/**
 * Follows a disk down to its base image. Throws `chain_broken` when something in between is missing or no layer, and
 * `base_missing`, with candidates, when the base image is not here or is not the one that the disk was made over.
 */
export function findChain(context: NodesContext, asked: ChainQuestion): FoundChain {
  const { shown, backingPath } = asked
  if (backingPath === null) return { backing: { kind: 'none' }, layers: [], image: null, rebase: false, warnings: [] }
  const layerId = LAYER.exec(backingPath)?.[1]
  if (layerId !== undefined) return throughLayers(context, asked, layerId)
  if (!backingPath.startsWith('/images/')) {
    throw broken(shown, `it stands on ${backingPath}, which is no layer and no base image`)
  }
  const file = backingPath.slice('/images/'.length)
  const { image, warnings } = baseOf(context, asked, file)
  return { backing: { kind: 'image' }, layers: [], image, rebase: image.file !== file, warnings }
}

/** Layers that a record of ours names, and that the state lacks. Throws `chain_broken`. */
export function missingLayers(
  { layout, store }: Pick<NodesContext, 'layout' | 'store'>,
  shown: string,
  backing: Backing,
  sidecars: ChainQuestion['sidecars'],
): Layer[] {
  const missing: Layer[] = []
  for (let next = backing; next.kind === 'layer';) {
    const { layerId } = next
    if (store.data.layers.some(({ id }) => id === layerId)) return missing
    const record = sidecars.get(layerId)
    const disk = lookAtDisk(layout, 'overlays', layerFileName(layerId))
    if (!disk) throw broken(shown, `the layer ${layerFileName(layerId)}, on which it stands, is missing`)
    if (!record) throw broken(shown, `the layer ${disk.name}, on which it stands, has no record beside it`)
    if (disk.fault !== null)
      throw broken(shown, `the layer ${disk.name}, on which it stands, can't be used: ${disk.fault}`)
    if (disk.sizeBytes !== record.sizeBytes) {
      throw broken(shown, `the layer ${disk.name}, on which it stands, has changed since it was frozen`)
    }
    if (missing.length > 2 * MAX_CHAIN_DEPTH || missing.some(({ id }) => id === layerId)) {
      throw broken(shown, 'the layers on which it stands have no end')
    }
    missing.push({ ...record, mtimeMs: Math.floor(disk.changedAt.getTime()) })
    next = record.backing
  }
  return missing
}

function throughLayers(context: NodesContext, asked: ChainQuestion, layerId: string): FoundChain {
  const { layers: known } = context.store.data
  const backing: Backing = { kind: 'layer', layerId: layerId as Layer['id'] } // parsed by the file name's pattern
  const layers = missingLayers(context, asked.shown, backing, asked.sidecars)
  const all = [...layers, ...known]
  let last = all.find(({ id }) => id === layerId)
  for (let depth = 0; last?.backing.kind === 'layer' && depth < all.length; depth += 1) {
    const below = last.backing.layerId
    last = all.find(({ id }) => id === below)
  }
  if (!last) throw broken(asked.shown, 'a layer on which it stands has no record')
  if (last.backing.kind === 'none') return { backing, layers, image: null, rebase: false, warnings: [] }
  const own = context.store.data.images.find(({ id }) => id === last.imageId)
  const { image, warnings } = baseOf(
    context,
    { ...asked, baseSha256: last.base.sha256 },
    own?.file ?? `${last.imageId}.qcow2`,
  )
  if (own && image.id === own.id) {
    const renewed = layers.map((layer) => ({ ...layer, imageId: image.id, base: image.fingerprint }))
    return { backing, layers: renewed, image, rebase: false, warnings }
  }
  throw new SandlabError(
    'base_missing',
    `The layers under ${asked.shown} stand on ${last.imageId}, which is not here by that name.`,
    {
      hint: `Import ${image.title} once more under the name ${last.imageId}, then attach again.`,
    },
  )
}

/** The base image, when nothing speaks against it. */
function baseOf(context: NodesContext, asked: ChainQuestion, file: string): { image: Image; warnings: string[] } {
  const { images } = context.store.data
  const { baseSha256, rebaseTo, shown } = asked
  const named = images.find((image) => image.file === file)
  const chosen = rebaseTo === null ? named : images.find(({ id }) => id === rebaseTo)
  const isSame = (image: Image) => baseSha256 !== null && imageLike([image], baseSha256) !== undefined
  if (chosen && isSame(chosen)) return { image: chosen, warnings: [] }
  if (chosen && baseSha256 === null && (rebaseTo === null || chosen.id === named?.id)) {
    const doubt = `Nothing tells whether ${chosen.id} is the very image that ${shown} was made over. If it is not, its data are wrong.`
    return { image: chosen, warnings: [doubt] }
  }
  throw baseMissing(asked, file, named, chosen, images.filter(isSame))
}

function baseMissing(
  { shown, baseSha256, rebaseTo }: ChainQuestion,
  file: string,
  named: Image | undefined,
  chosen: Image | undefined,
  candidates: readonly Image[],
): SandlabError {
  const what =
    chosen && rebaseTo !== null
      ? baseSha256 === null
        ? `nothing tells that ${chosen.id} has the content of ${file}, over which it was made`
        : `${chosen.id} has another content than ${file}, over which it was made`
      : rebaseTo !== null
        ? `there is no base image ${rebaseTo}`
        : named
          ? `the base image ${named.id} is another one now than when it was made`
          : `its base image ${file} is not here`
  const names = candidates.map(({ id }) => id)
  const hint =
    names.length > 0
      ? `The same content is here as ${names.join(', ')}: attach it over that one (--rebase-to ${names[0]}).`
      : `Bring the image ${file} here again (import, pull, or clone a node of it), then attach again. Nothing was changed.`
  return new SandlabError('base_missing', `${shown} can't be attached: ${what}.`, {
    hint,
    details: { file, sha256: baseSha256, candidates: candidates.map(({ id, title }) => ({ id, title })) },
  })
}

function broken(shown: string, why: string): SandlabError {
  return new SandlabError('chain_broken', `${shown} can't be attached: ${why}.`, {
    hint: 'Put the missing file back beside it (with its .json), or make it whole with `qemu-img convert` where its files are.',
  })
}
