import { SandlabError } from '../../domain/error.js'
import type { DriveRecord } from '../../domain/drive.js'
import type { Layer } from '../../domain/layer.js'
import type { NodeConfig } from '../../domain/node-config.js'
import type { NodeRecord } from '../../domain/node.js'
import { driveApiPath } from '../../storage/drive-files.js'
import type { NodesContext } from '../../nodes/context.js'
import { findChain, missingLayers, type ChainQuestion } from './attach-chain.js'
import { driveFrom } from './attach-record.js'
import { lookAtSource } from './attach-source.js'
import { namedFiles } from '../named-files.js'
import { isThere } from './orphans.js'
import { readStoragePath } from './storage-path.js'

export interface FoundDrives {
  drives: DriveRecord[]
  /** Ids of those whose files are to be made. */
  made: string[]
  layers: Layer[]
  warnings: string[]
}

/** The further drives that a former node had: those that nobody has taken since, with the layers under them. */
export function formerDrives(
  context: NodesContext,
  former: Pick<NodeRecord, 'drives'>,
  sidecars: ChainQuestion['sidecars'],
): FoundDrives {
  const found: FoundDrives = { drives: [], made: [], layers: [], warnings: [] }
  const named = namedFiles(context.store.data, context.layout)
  for (const drive of former.drives) {
    const path = driveApiPath(context.layout, drive)
    const holder = named.get(path)
    if (holder !== undefined) {
      found.warnings.push(`Its drive ${drive.id} (${path}) is left out: it belongs to ${holder} now.`)
      continue
    }
    const isManaged = /^\/(overlays|images)\//.test(path)
    if (isManaged && !isThere(context.layout, path)) {
      found.warnings.push(
        drive.source === 'automatic'
          ? `Its drive ${drive.id} (${path}) is missing: it is made again, empty, at the next start.`
          : `Its drive ${drive.id} (${path}) is missing: put it back or remove it before the next start.`,
      )
    } else found.layers.push(...missingLayers(context, path, drive.backing, sidecars))
    found.drives.push(drive)
  }
  return found
}

/**
 * The further drives of a config: orphans that it names, and new ones. Throws as `lookAtSource` and `findChain`, and
 * `path_not_allowed` for a drive outside of `overlays/`.
 */
export async function configDrives(
  context: NodesContext,
  { drives }: NodeConfig,
  at: string,
  sidecars: ChainQuestion['sidecars'],
): Promise<FoundDrives> {
  const found: FoundDrives = { drives: [], made: [], layers: [], warnings: [] }
  for (const disk of drives) {
    if (disk.file === undefined) {
      found.drives.push({ ...driveFrom({ ...disk, type: 'qcow2' }, at, null) })
      found.made.push(disk.name)
      continue
    }
    const path = readStoragePath(context.layout, disk.file)
    if (path.place !== 'overlays') {
      throw new SandlabError(
        'path_not_allowed',
        `The drive ${disk.name} (${path.shown}) is not in the overlays folder.`,
        {
          hint: 'Move it there, or attach the node without it and add it as a drive.',
        },
      )
    }
    const source = await lookAtSource(context, path)
    if (source.format !== disk.type) {
      throw new SandlabError('config_mismatch', `${path.shown} is ${source.format}, the config says ${disk.type}.`, {
        hint: `Write \`type: ${source.format}\` for the drive ${disk.name}.`,
      })
    }
    const { shown } = path
    const asked = { shown, backingPath: source.backingPath, baseSha256: null, rebaseTo: null, sidecars }
    const chain = findChain(context, asked)
    if (chain.image) {
      throw new SandlabError(
        'chain_broken',
        `${shown} can't be a drive: it stands on the base image ${chain.image.id}.`,
        {
          hint: 'Attach it as a node of its own.',
        },
      )
    }
    const drive = driveFrom(disk, at, path.name)
    found.drives.push({ ...drive, sizeBytes: source.virtualSizeBytes, backing: chain.backing })
    found.layers.push(...chain.layers)
  }
  return found
}
