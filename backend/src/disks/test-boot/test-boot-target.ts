import { randomUUID } from 'node:crypto'
import { SandlabError } from '../../domain/error.js'
import { nodeIdSchema, type NodeId } from '../../domain/ids.js'
import type { Image } from '../../domain/image.js'
import { chainOf, type Backing } from '../../domain/layer.js'
import { ephemeralFileName } from '../../domain/layout.js'
import type { NodeRecord } from '../../domain/node.js'
import { rootLayerOf } from '../../domain/snapshot.js'
import type { TestBoot } from '../../domain/test-boot.js'
import type { NodeSpec } from '../../hosts/engine.js'
import { macOf } from '../../hosts/machine.js'
import { imageOf, recordOf, viewNode, type NodesContext } from '../../nodes/context.js'
import { noSuchImage } from '../../nodes/new-record.js'
import { specOf } from '../../nodes/spec.js'
import { findOrphans, type FoundOrphan } from '../orphans/orphans.js'

/** What is booted, and over which files. */
export interface TestBootTarget {
  spec: NodeSpec
  /** In words: `web`, `the snapshot monday of web`. */
  title: string
  /** Whose disk is read, and must stand still meanwhile; null for what never changes. */
  nodeId: NodeId | null
}

/** Memory for a disk of which nothing is known, MiB. */
const UNKNOWN_MEMORY_MIB = 512

/** Finds out what an ephemeral node would be. Changes nothing. Throws `not_found`, `wrong_status`, `chain_broken`, … */
export async function targetOf(context: NodesContext, request: TestBoot): Promise<TestBootTarget> {
  if (request.nodeId !== undefined) return nodeTarget(context, request.nodeId, request)
  if (request.snapshotId !== undefined) return snapshotTarget(context, request.snapshotId, request)
  return orphanTarget(context, request.path ?? '', request)
}

async function nodeTarget(context: NodesContext, id: string, request: TestBoot): Promise<TestBootTarget> {
  const record = recordOf(context, id)
  const { status } = viewNode(context, record)
  if (!['stopped', 'crashed'].includes(status)) {
    throw new SandlabError('wrong_status', `The disk of ${record.name} can't be booted for a test: it is ${status}.`, {
      hint: 'Take a snapshot of it, and boot that: it goes on meanwhile.',
    })
  }
  const image = requireImage(context, record)
  const fault = await context.observations.inspectStorage(record, image)
  if (fault !== undefined) throw new SandlabError('node_broken', `${record.name} can't be booted: ${fault}`)
  const spec = ephemeral(context, { record, image, top: record.overlayFile, below: record.backing }, request)
  return { spec, title: record.name, nodeId: record.id }
}

async function snapshotTarget(context: NodesContext, id: string, request: TestBoot): Promise<TestBootTarget> {
  const { snapshots, layers } = context.store.data
  const snapshot = snapshots.find((one) => one.id === id)
  if (!snapshot) throw new SandlabError('not_found', `There is no snapshot ${id}.`)
  const record = recordOf(context, snapshot.nodeId)
  const layer = layers.find((one) => one.id === rootLayerOf(snapshot))
  const title = `the snapshot ${snapshot.name} of ${record.name}`
  if (!layer) {
    throw new SandlabError('chain_broken', `Could not boot ${title}: it has no disk to boot from.`, {
      hint: `Look with \`sandlabx storage verify ${record.name}\`.`,
    })
  }
  const was = { ...record, diskBytes: layer.diskBytes, cpus: snapshot.cpus, memoryMib: snapshot.memoryMib }
  const image = requireImage(context, record)
  const spec = ephemeral(context, { record: was, image, top: layer.file, below: layer.backing }, request)
  return { spec, title, nodeId: null }
}

async function orphanTarget(context: NodesContext, path: string, request: TestBoot): Promise<TestBootTarget> {
  const found = (await findOrphans(context)).find(({ disk }) => disk.path === path)
  if (!found) {
    throw new SandlabError('storage_not_found', `There is no orphaned disk ${path}.`, {
      hint: 'Look at `sandlabx storage orphaned`. A disk of a node is booted by the name of its node.',
    })
  }
  const { disk, former } = found
  const refuse = (why: string) =>
    new SandlabError('unsupported', `Could not boot ${path}: ${why}.`, {
      hint: 'Attach it as a node instead. Nothing was changed.',
    })
  if (disk.fault !== null) throw new SandlabError('hostile_header', `Could not boot ${path}: ${disk.fault}.`)
  if (disk.place !== 'overlays' || disk.format !== 'qcow2') throw refuse('only qcow2 disks in overlays/ can be')
  if (disk.virtualSizeBytes === null) throw refuse('its size can not be read')
  const title = `the orphan ${disk.name}`
  const record = former.kind === 'drive' ? null : former.record
  if (record) {
    const below = former.kind === 'snapshot' ? former.layer?.record.backing : record.backing
    if (!below) throw refuse('its record does not say what it stands on')
    const was = { ...record, diskBytes: disk.virtualSizeBytes }
    const image = requireImage(context, record)
    return { spec: ephemeral(context, { record: was, image, top: disk.name, below }, request), title, nodeId: null }
  }
  return { spec: unknownDisk(context, found, disk.virtualSizeBytes, refuse, request), title, nodeId: null }
}

/** What its own header says, and nothing else. */
function unknownDisk(
  context: NodesContext,
  { disk }: FoundOrphan,
  sizeBytes: number,
  refuse: (why: string) => SandlabError,
  { memoryMib = UNKNOWN_MEMORY_MIB }: TestBoot,
): NodeSpec {
  const image = context.store.data.images.find(({ file }) => disk.backingPath === `/images/${file}`)
  if (disk.backingName !== null && !image) throw refuse('it stands on a file that is no base image')
  const id = nodeIdSchema.parse(randomUUID())
  return {
    id,
    name: 'test-boot',
    generation: 1,
    cpus: 1,
    memoryMib,
    base: { file: image?.file ?? disk.name, fingerprint: image?.fingerprint ?? NO_FINGERPRINT },
    backing: { layers: [disk.name], base: image !== undefined },
    firmware: image?.firmware ?? 'bios',
    directBoot: image?.directBoot ?? null,
    ...rootAndCard(id, sizeBytes),
    seed: null,
    agent: true,
    ephemeral: true,
  }
}

/** Of a disk that stands alone: nothing is compared with it. */
const NO_FINGERPRINT = { sha256: '0'.repeat(64), sizeBytes: 0, mtimeMs: 0 }

interface Source {
  record: NodeRecord
  image: Image
  /** The file that is booted, in `overlays/`, and what it stands on. */
  top: string
  below: Backing
}

/** Like the node, so that its guest finds what it knows; under an id of its own, alone in its network, without drives. */
function ephemeral(
  { store }: NodesContext,
  { record, image, top, below }: Source,
  { memoryMib = record.memoryMib }: TestBoot,
): NodeSpec {
  const id = nodeIdSchema.parse(randomUUID())
  const chain = chainOf(store.data.layers, below)
  if (chain.missing !== null) {
    throw new SandlabError('chain_broken', `Could not boot the disk of ${record.name}: a layer under it is missing.`, {
      hint: `Look with \`sandlabx storage verify ${record.name}\`.`,
    })
  }
  return {
    ...specOf({ ...record, drives: [] }, image, store.data.layers),
    id,
    generation: 1,
    memoryMib,
    backing: { layers: [top, ...chain.layers.map(({ file }) => file)], base: chain.base },
    ...rootAndCard(id, record.diskBytes),
    agent: true, // whether the node has one or not: its answer tells that it is up
    ephemeral: true,
  }
}

function rootAndCard(id: NodeId, sizeBytes: number): Pick<NodeSpec, 'disks' | 'nics'> {
  const file = ephemeralFileName(id)
  return {
    disks: [{ id: 'root', role: 'root', file, sizeBytes, readOnly: false }],
    nics: [{ mac: macOf(id), internet: false }],
  }
}

function requireImage(context: NodesContext, { imageId }: NodeRecord): Image {
  const image = imageOf(context, imageId)
  if (image) return image
  throw noSuchImage(imageId)
}
