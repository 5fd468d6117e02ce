import { randomUUID } from 'node:crypto'
import { SandlabError } from '../../domain/error.js'
import { userIdSchema } from '../../domain/ids.js'
import type { Image } from '../../domain/image.js'
import type { NodeConfig } from '../../domain/node-config.js'
import type { AddFromConfig } from '../../domain/storage.js'
import { formatBytes } from '../../domain/units.js'
import type { Actor, NodesContext } from '../../nodes/context.js'
import { noSuchImage } from '../../nodes/new-record.js'
import { lookAtDisk } from '../../storage/orphan-scan.js'
import { wholeSectors } from '../../system/qcow2-overlay.js'
import { configDrives } from './attach-drives.js'
import type { AttachIntent } from './attach-intent.js'
import { prepareAttach, type AttachRights } from './attach-prepare.js'
import { recordFrom } from './attach-record.js'
import { badConfig, parseNodeConfig } from './config-yaml.js'
import { namedFiles } from '../named-files.js'
import { readStoragePath } from './storage-path.js'

/**
 * A node as its YAML says: over the orphan that it names; or with fresh disks over its image, also where the disks that
 * it names are another node's, or gone. Changes nothing. Throws as
 * `prepareAttach`, and `not_found` for its image, `disk_too_small`.
 */
export async function prepareAdd(
  context: NodesContext,
  request: AddFromConfig,
  actor: Actor,
  rights: AttachRights,
): Promise<AttachIntent> {
  const config = parseNodeConfig(request.config)
  const { root } = config
  const held = filesOfOthers(context, config)
  if (root?.file !== undefined && !held.has(root)) {
    const { config: text, name, ownerId, start } = request
    const asked = { config: text, start, ...(name !== undefined && { name }), ...(ownerId && { ownerId }) }
    return prepareAttach(context, { path: root.file, ...asked }, actor, rights)
  }
  return prepareFresh(
    context,
    request,
    { ...config, drives: config.drives.map((disk) => unnamed(disk, held)) },
    {
      actor,
      rights,
      notTaken: [...held.entries()].map(([disk, why]) => freshWarning(disk, why)),
    },
  )
}

type Disk = NodeConfig['drives'][number]

/**
 * Disks of the config that belong to a node that is there, or did to one that is gone with them: the new one gets fresh
 * ones, where it says over what. With why.
 */
function filesOfOthers({ layout, store }: NodesContext, { root, drives, image }: NodeConfig): Map<Disk, string> {
  const named = namedFiles(store.data, layout)
  const held = new Map<Disk, string>()
  for (const disk of root ? [root, ...drives] : drives) {
    if (disk.file === undefined) continue
    const { shown, place, name } = readStoragePath(layout, disk.file)
    const holder = named.get(shown)
    if (holder !== undefined) held.set(disk, `belongs to ${holder}`)
    else if (image !== null && place === 'overlays' && !lookAtDisk(layout, place, name)) held.set(disk, 'is not there')
  }
  return held
}

function unnamed(disk: Disk, held: ReadonlyMap<Disk, string>): Disk {
  if (!held.has(disk)) return disk
  const { file: _file, ...rest } = disk
  return rest
}

function freshWarning({ file, name }: Disk, why: string): string {
  return `${file} ${why}: the new node gets a fresh disk ${name} instead.`
}

async function prepareFresh(
  context: NodesContext,
  request: AddFromConfig,
  config: NodeConfig,
  { actor, rights, notTaken }: { actor: Actor; rights: AttachRights; notTaken: string[] },
): Promise<AttachIntent> {
  const image = imageOfConfig(context, config)
  const wanted = wholeSectors(config.root?.sizeBytes ?? image.virtualSizeBytes)
  if (wanted < image.virtualSizeBytes) {
    throw new SandlabError(
      'disk_too_small',
      `A disk of ${formatBytes(wanted)} is smaller than the image ${image.id} (${formatBytes(image.virtualSizeBytes)}).`,
      {
        hint: `Ask for at least ${formatBytes(image.virtualSizeBytes)}.`,
        details: { minimumBytes: image.virtualSizeBytes },
      },
    )
  }
  const at = context.now().toISOString()
  const { record, warnings } = await recordFrom(context, {
    former: null,
    config,
    name: request.name,
    ownerId: request.ownerId ?? userIdSchema.parse(actor.id),
    image,
    backing: { kind: 'image' },
    diskBytes: wanted,
    fileId: null,
    sameNode: false,
    rights,
    actor,
    at,
    text: `Created from ${image.title}, as its configuration says.`,
  })
  const drives = await configDrives(context, config, at, new Map())
  return {
    id: randomUUID(),
    at,
    record: { ...record, drives: drives.drives },
    way: 'fresh',
    path: '',
    shown: '',
    rebase: null,
    former: null,
    layers: drives.layers,
    snapshots: [],
    newDrives: drives.made,
    needBytes: (1 + drives.made.length) * context.rules.growthReserveBytes,
    start: request.start,
    actor: { id: actor.id, login: actor.login },
    warnings: [...notTaken, ...warnings, ...drives.warnings],
  }
}

function imageOfConfig({ store }: NodesContext, { image: id }: NodeConfig): Image {
  if (id === null) {
    throw badConfig(['it names neither a disk that is there (`file:` of its first disk) nor a base image (`image:`).'])
  }
  const image = store.data.images.find((one) => one.id === id)
  if (!image) throw noSuchImage(id)
  return image
}
