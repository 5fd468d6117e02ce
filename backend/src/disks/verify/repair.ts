import { randomUUID } from 'node:crypto'
import { isSandlabError, SandlabError } from '../../domain/error.js'
import { userIdSchema, type UserId } from '../../domain/ids.js'
import { overlayApiPath } from '../../domain/layout.js'
import { chainOf } from '../../domain/layer.js'
import type { NodeRecord } from '../../domain/node.js'
import type { Operation } from '../../domain/operation.js'
import type { OperationPlan } from '../../domain/plan.js'
import type { Repair, RepairRequest } from '../../domain/storage.js'
import { recordOf, type Actor, type NodesContext } from '../../nodes/context.js'
import { deleteNode } from '../../nodes/remove.js'
import { driveApiPath } from '../../storage/drive-files.js'
import { usedBytes } from '../../storage/overlays.js'
import { listTrash } from '../../storage/trash-store.js'
import { restoreSnapshot } from '../snapshots/snapshot-restore.js'
import { planRestore } from '../snapshots/snapshot-restore-plan.js'
import { findOrphans } from '../orphans/orphans.js'
import { attachFault } from './repair-offers.js'
import { repairProcedure } from './repair-procedure.js'
import type { RepairIntent } from './repair-intent.js'
import { beginRestore } from '../trash/trash-restore.js'

/** Puts right what a verification has found. Each is the same verb as by hand, where there is one. */
export interface Repairs {
  /** Back as soon as it has begun. Throws as the verb does; `unsupported` when the finding has no such repair. */
  begin(request: RepairRequest, actor: Actor, rights: RepairRights): Promise<Operation>
  /** What it would do, and why it would be refused. */
  plan(request: RepairRequest, actor: Actor, rights: RepairRights): Promise<OperationPlan>
}

export interface RepairRights {
  /** Whether what is in the trash, and whose it was, may be brought back by the one who asks. */
  mayRestore: (ownerId: UserId | null) => boolean
}

export function createRepairs(context: NodesContext): Repairs {
  return {
    async begin(request, actor, rights) {
      const earlier = context.transactions.earlier(actor)
      if (earlier) return earlier.operation
      if (request.repair === 'drop-record') return dropRecord(context, nodeOf(context, request), actor)
      if (request.repair === 'restore-from-trash') return fromTrash(context, request, actor, rights)
      if (request.repair === 'restore-snapshot') {
        const { id } = nodeOf(context, request)
        return (await restoreSnapshot(context, id, needed(request), { now: false }, actor)).operation
      }
      const intent = await prepare(context, request, actor)
      return context.transactions.run(repairProcedure(context), intent, {
        title: TITLES[request.repair](intent.path),
        actor,
        target: intent.nodeId === null ? null : { type: 'node', id: intent.nodeId },
        cancellable: intent.repair === 'rebase',
        request: actor.request ?? null,
      }).operation
    },
    plan: (request, actor, rights) => planRepair(context, request, actor, rights),
  }
}

const TITLES: Record<Repair, (path: string) => string> = {
  'recreate-drive': (path) => `Make the drive ${path} anew`,
  'restore-from-trash': (path) => `Bring ${path} back from the trash`,
  'restore-snapshot': (path) => `Go back to a snapshot of ${path}`,
  rebase: (path) => `Put the same content in the place of ${path}`,
  attach: (path) => `Give a disk the place of ${path}`,
  'drop-record': (path) => `Take the node of ${path} from the list`,
  'write-sidecar': (path) => `Write ${path} anew`,
}

async function planRepair(
  context: NodesContext,
  request: RepairRequest,
  actor: Actor,
  rights: RepairRights,
): Promise<OperationPlan> {
  if (request.repair === 'restore-snapshot' && request.argument !== undefined) {
    return planRestore(context, nodeOf(context, request).id, request.argument, { now: false }, actor)
  }
  const refusal = await refusalOf(context, request, actor, rights)
  const record = context.store.data.nodes.find(({ id }) => id === request.nodeId)
  const file = record?.overlayFile
  return {
    kind: 'storage.repair',
    title: TITLES[request.repair](request.path),
    steps: STEPS[request.repair](request),
    space: [],
    creates: [],
    replaces: [],
    files:
      request.repair === 'drop-record' && file !== undefined
        ? [
            {
              path: overlayApiPath(file),
              bytes: (await usedBytes(`${context.layout.overlays}/${file}`)) ?? 0,
              fate: 'stays; it can be attached again',
            },
          ]
        : [],
    warnings: [],
    refusal,
  }
}

const STEPS: Record<Repair, (request: RepairRequest) => string[]> = {
  'recreate-drive': ({ path }) => [`Make ${path} with the recorded size`],
  'restore-from-trash': ({ path }) => [`Move ${path} back from the trash`],
  'restore-snapshot': () => ['Move what is there to the trash', 'Give the node a fresh disk over the snapshot'],
  rebase: ({ argument, path }) => [
    `Read the image ${argument ?? ''} whole, and go on only when it has the recorded sha256`,
    `Let it stand at ${path}; another file that stands there is kept under another name`,
    'Take on its time in the records of the image and of its nodes',
  ],
  attach: ({ argument, path }) => [`Give ${argument ?? ''} the name ${path}`],
  'drop-record': () => ['Take the node from the list', 'Keep its files: they can be attached again'],
  'write-sidecar': ({ path }) => [`Write ${path} from the record`],
}

async function refusalOf(
  context: NodesContext,
  request: RepairRequest,
  actor: Actor,
  rights: RepairRights,
): Promise<OperationPlan['refusal']> {
  try {
    if (request.repair === 'drop-record') nodeOf(context, request)
    else if (request.repair === 'restore-from-trash') await entryOf(context, request, rights)
    else await prepare(context, request, actor)
    return null
  } catch (error) {
    if (!isSandlabError(error)) throw error
    const { code, message, hint } = error
    return hint === undefined ? { code, message } : { code, message, hint }
  }
}

/** All that the repair will name. Throws `unsupported`, `not_found`, `bad_request`. */
async function prepare(context: NodesContext, request: RepairRequest, actor: Actor): Promise<RepairIntent> {
  const about = {
    id: randomUUID(),
    at: context.now().toISOString(),
    actor: { id: actor.id === null ? null : userIdSchema.parse(actor.id), login: actor.login },
    path: request.path,
  }
  if (request.repair === 'write-sidecar') {
    return { ...about, repair: 'write-sidecar', nodeId: request.nodeId ?? null, subject: sidecarOf(context, request) }
  }
  if (request.repair === 'rebase') return { ...about, ...prepareRebase(context, request, about.at) }
  const record = nodeOf(context, request)
  if (request.repair === 'attach') {
    if (request.path !== overlayApiPath(record.overlayFile)) throw noSuchRepair(request)
    const orphan = (await findOrphans(context)).find(({ disk }) => disk.path === needed(request))?.disk
    if (orphan?.place !== 'overlays') {
      throw new SandlabError('storage_not_found', `There is no orphan ${needed(request)} in the folder of disks.`)
    }
    const fault = await attachFault(context, record, orphan.name)
    if (fault !== undefined) throw new SandlabError('config_mismatch', `${orphan.path} does not fit: it ${fault}.`)
    return { ...about, repair: 'attach', nodeId: record.id, from: orphan.name, to: record.overlayFile }
  }
  const drive = record.drives.find((one) => driveApiPath(context.layout, one) === request.path)
  if (request.repair !== 'recreate-drive' || drive?.source !== 'automatic') throw noSuchRepair(request)
  const chain = chainOf(context.store.data.layers, drive.backing)
  if (chain.missing !== null) {
    throw new SandlabError('chain_broken', `The drive ${drive.id} stands on the layer ${chain.missing}, which is lost.`)
  }
  const backingFile = chain.layers[0]?.file ?? null
  const staging = `repair_${about.id}.qcow2`
  return { ...about, repair: 'recreate-drive', nodeId: record.id, drive, backingFile, staging }
}

function prepareRebase(context: NodesContext, request: RepairRequest, at: string) {
  const { images, nodes } = context.store.data
  const source = images.find(({ id }) => id === needed(request))
  if (!source) throw new SandlabError('not_found', `There is no image ${needed(request)}.`)
  const record = request.nodeId === undefined ? undefined : nodeOf(context, request)
  const image = images.find(({ id, file }) => id === record?.imageId || `/images/${file}` === request.path)
  const imageId = image?.id ?? record?.imageId
  const fingerprint = image?.fingerprint ?? record?.base
  const to = image?.file ?? request.path.replace(/^\/images\//, '')
  if (imageId === undefined || !fingerprint || request.path !== `/images/${to}` || to.includes('/')) {
    throw noSuchRepair(request)
  }
  if (source.fingerprint.sha256 !== fingerprint.sha256) {
    throw new SandlabError('checksum_mismatch', `The image ${source.id} has another content: its sha256 differs.`, {
      hint: 'Only the very same content can take its place.',
    })
  }
  const stamp = at.replaceAll(/[:.]/g, '-')
  const aside = `${to.replace(/\.qcow2$/, '')}.replaced-${stamp}.qcow2`
  const nodeId = record?.id ?? nodes.find((node) => node.imageId === imageId && node.id === request.nodeId)?.id ?? null
  return { repair: 'rebase' as const, nodeId, imageId, image: source, from: source.file, to, aside, fingerprint }
}

function sidecarOf(context: NodesContext, request: RepairRequest) {
  const { images, layers, nodes } = context.store.data
  const image = images.find(({ id }) => request.path === `/images/${id}.image.json`)
  const layer = layers.find(({ id }) => request.path === overlayApiPath(`layer_${id}.json`))
  const node = nodes.find(({ id }) => request.path === overlayApiPath(`node_${id}.json`))
  if (image) return { type: 'image' as const, id: image.id }
  if (layer) return { type: 'layer' as const, id: layer.id }
  if (node && node.id === request.nodeId) return { type: 'node' as const, id: node.id }
  throw noSuchRepair(request)
}

/** The same as deleting it with its storage kept; as an operation, since that has none for whoever asks. */
function dropRecord(context: NodesContext, record: NodeRecord, actor: Actor): Operation {
  const about = {
    kind: 'storage.repair' as const,
    title: `Take ${record.name} from the list`,
    actor,
    target: { type: 'node' as const, id: record.id },
    cancellable: false,
    request: actor.request ?? null,
  }
  const keep = { deleteStorage: false, keepSnapshots: true }
  return context.operations.start(about, () => deleteNode(context, record.id, keep, actor)).operation
}

async function fromTrash(
  context: NodesContext,
  request: RepairRequest,
  actor: Actor,
  rights: RepairRights,
): Promise<Operation> {
  const entry = await entryOf(context, request, rights)
  const title = TITLES['restore-from-trash'](request.path)
  return beginRestore(context, [entry], { actor, title, words: `Brought back from the trash: ${entry.title}.` })
}

/** Only one that holds the very file that is missing. */
async function entryOf(context: NodesContext, request: RepairRequest, { mayRestore }: RepairRights) {
  const entry = (await listTrash(context.layout)).find(({ id }) => id === needed(request))
  const holds = entry?.files.some(({ was }) => request.path === was || request.path === overlayApiPath(was))
  if (entry && holds === true && mayRestore(entry.ownerId)) return entry
  throw new SandlabError('not_found', `There is no ${needed(request)} in the trash that holds ${request.path}.`)
}

function nodeOf(context: NodesContext, { nodeId, repair }: RepairRequest): NodeRecord {
  if (nodeId !== undefined) return recordOf(context, nodeId)
  throw new SandlabError('bad_request', `The repair ${repair} needs a node.`)
}

function needed({ argument, repair }: RepairRequest): string {
  if (argument !== undefined) return argument
  throw new SandlabError('bad_request', `The repair ${repair} needs what to repair it with.`)
}

function noSuchRepair({ repair, path }: RepairRequest): SandlabError {
  return new SandlabError('unsupported', `${path} has no repair ${repair}.`, {
    hint: 'Verify once more: each finding says what can be done about it.',
  })
}
