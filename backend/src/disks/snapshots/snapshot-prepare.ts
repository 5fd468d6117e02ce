import { SandlabError } from '../../domain/error.js'
import { layerIdSchema, snapshotIdSchema } from '../../domain/ids.js'
import { layerFileName, overlayApiPath } from '../../domain/layout.js'
import type { NodeRecord } from '../../domain/node.js'
import type { OperationPlan } from '../../domain/plan.js'
import { snapshotUnder, type CreateSnapshot, type Snapshot } from '../../domain/snapshot.js'
import { formatBytes, MIB } from '../../domain/units.js'
import { isAlive } from '../../nodes/clone-prepare.js'
import { recordOf, type Actor, type NodesContext } from '../../nodes/context.js'
import { engineFailure } from '../../nodes/engine-failure.js'
import { usedBytes } from '../../storage/overlays.js'
import { measureSpace, noSpace } from '../../storage/space.js'
import { errorOf } from '../../transactions/operation-record.js'
import { diskPath, ownDisks, type OwnDisk } from '../own-disks.js'
import { refusalIn } from '../refusal-in.js'
import { flattenBytes, isDeep } from './snapshot-flatten.js'
import type { CreateIntent } from './snapshot-intent.js'
import { refuseManySnapshots, refuseSnapshotName, refuseStatus } from './snapshot-rules.js'
import { exists } from '../../system/exists.js'

/** QEMU's own books beside a guest's memory: devices, the screen. Bytes. */
const MACHINE_BYTES = 64 * MIB

/** Everything that a snapshot will name, and all that speaks against it. Changes nothing. */
export async function prepareSnapshot(
  context: NodesContext,
  id: string,
  request: CreateSnapshot,
  actor: Actor,
  automatic: Snapshot['automatic'] = null,
): Promise<CreateIntent> {
  const record = recordOf(context, id)
  refuseSnapshot(context, record, request, automatic)
  if (request.freeze) await requireGuestAgent(context, record)
  const live = isAlive(context, record)
  const { disks, leftOut } = await disksToTake(context, record, request.drives, live)
  const growth = disks.length * context.rules.growthReserveBytes
  const memoryBytes = request.memory ? record.memoryMib * MIB + MACHINE_BYTES : 0
  return {
    id: crypto.randomUUID(),
    at: context.now().toISOString(),
    nodeId: record.id,
    nodeName: record.name,
    snapshotId: snapshotIdSchema.parse(crypto.randomUUID()),
    name: request.name,
    note: request.note,
    automatic,
    parentId: parentOf(context, record, disks)?.id ?? null,
    live,
    memory: request.memory,
    freeze: request.freeze,
    disks: disks.map((disk) => ({ ...disk, layerId: layerIdSchema.parse(crypto.randomUUID()) })),
    leftOut,
    needBytes: growth + memoryBytes,
    actor: { id: actor.id, login: actor.login },
    taken: null,
  }
}

function refuseSnapshot(
  context: NodesContext,
  record: NodeRecord,
  { name, memory, freeze, drives = [] }: CreateSnapshot,
  automatic: Snapshot['automatic'],
): void {
  refuseStatus(context, record, 'snapshot')
  refuseSnapshotName(context.store.data, record, name)
  if (automatic === null) refuseManySnapshots(context, context.store.data, record)
  const own = ownDisks(record).map(({ driveId }) => driveId)
  const unknown = drives.find((driveId) => !own.includes(driveId))
  if (unknown !== undefined) {
    const isForeign = record.drives.some(({ id }) => id === unknown)
    throw new SandlabError(
      isForeign ? 'unsupported' : 'not_found',
      isForeign
        ? `${unknown} is a file of somebody's own: only disks that SandLabX has made can have snapshots.`
        : `${record.name} has no drive ${unknown}.`,
      { hint: `It can be taken of ${own.join(', ')}.` },
    )
  }
  if (isAlive(context, record)) {
    if (!context.engine.capabilities.liveSnapshot) {
      throw new SandlabError('unsupported', 'This engine takes snapshots of stopped nodes only.', {
        hint: 'Stop it first.',
      })
    }
    return
  }
  if (!memory && !freeze) return
  throw new SandlabError(
    'wrong_status',
    `${record.name} does not run: there is no ${memory ? 'memory to keep' : 'guest to freeze'}.`,
    {
      hint: 'Start it first, or leave that out.',
    },
  )
}

/** Throws `unsupported` unless the running guest's agent answers now: it may have been installed, or have ended, since. */
async function requireGuestAgent({ engine }: NodesContext, { id, name }: NodeRecord): Promise<void> {
  const state = await engine.guestAgent(id).catch((error: unknown) => {
    throw engineFailure(error, `Could not ask the guest of ${name}`)
  })
  if (state === 'answers') return
  if (state === 'absent') {
    throw new SandlabError(
      'unsupported',
      `${name} runs without a port for a guest agent: its guest can't be asked to freeze.`,
      {
        hint: `Stop it, give it one with \`sandlabx set ${name} --agent\`, and install qemu-guest-agent in its guest. Or take the snapshot without freezing.`,
      },
    )
  }
  throw new SandlabError('unsupported', `The agent in the guest of ${name} does not answer.`, {
    hint: 'Install and start qemu-guest-agent in the guest, or wait until it has booted. Or take the snapshot without freezing.',
  })
}

/** Without a list: all that are there. A named one must be. */
async function disksToTake(
  context: NodesContext,
  record: NodeRecord,
  drives: readonly string[] | undefined,
  live: boolean,
): Promise<{ disks: OwnDisk[]; leftOut: string[] }> {
  const asked = ownDisks(record).filter(({ driveId }) => drives?.includes(driveId) ?? true)
  const startedAt = context.observations.of(record.id).engine?.startedAt ?? null
  const disks: OwnDisk[] = []
  const leftOut: string[] = []
  for (const disk of asked) {
    const drive = record.drives.find(({ id }) => id === disk.driveId)
    const isNew = live && drive !== undefined && startedAt !== null && drive.createdAt > startedAt
    const isTakeable = !isNew && drive?.readOnly !== true && (await exists(diskPath(context.layout, disk)))
    if (isTakeable || !drive) disks.push(disk)
    else leftOut.push(disk.driveId)
  }
  const [missing] = drives ? leftOut : []
  if (missing === undefined && disks.length > 0) return { disks, leftOut }
  throw new SandlabError(
    'wrong_status',
    `${record.name}: ${missing ?? 'the drive'} is read-only, or its guest does not have it yet.`,
    {
      hint: 'Start the node once with it, or leave it out.',
    },
  )
}

function parentOf(context: NodesContext, record: NodeRecord, disks: readonly OwnDisk[]): Snapshot | null {
  const under = disks.flatMap(({ backing }) => snapshotUnder(context.store.data, record.id, backing) ?? [])
  return under.toSorted((one, other) => other.createdAt.localeCompare(one.createdAt))[0] ?? null
}

/** What a snapshot would do, and whether it would be refused. */
export async function planSnapshot(
  context: NodesContext,
  id: string,
  request: CreateSnapshot,
  actor: Actor,
): Promise<OperationPlan> {
  const record = recordOf(context, id)
  const empty = { kind: 'snapshot.create' as const, title: titleOf(record, request), creates: [], replaces: [] }
  const { refusal } = await refusalIn(async () => {
    refuseSnapshot(context, record, request, null)
    if (request.freeze) await requireGuestAgent(context, record)
  })
  if (refusal) return { ...empty, steps: [], space: [], files: [], warnings: [], refusal: errorOf(refusal) }
  const intent = await prepareSnapshot(context, id, request, actor)
  const deep = intent.disks.filter((disk) => isDeep(context, disk))
  const flatten = await Promise.all(deep.map((disk) => flattenBytes(context, disk)))
  const bytes = flatten.reduce((sum, each) => sum + each, intent.needBytes)
  const space = await measureSpace([{ path: context.layout.overlays, bytes }])
  const short = space.find(({ freeUpBytes }) => freeUpBytes > 0)
  return {
    ...empty,
    steps: stepsOf(intent, deep.length > 0),
    space,
    creates: [{ type: 'snapshot', name: request.name }],
    files: await Promise.all(
      intent.disks.map(async (disk) => ({
        path: overlayApiPath(disk.file),
        bytes: (await usedBytes(diskPath(context.layout, disk))) ?? 0,
        fate: `becomes the read-only ${overlayApiPath(layerFileName(disk.layerId))}; an empty disk over it takes its name`,
      })),
    ),
    warnings: warningsOf(record, intent),
    refusal: short ? errorOf(noSpace(short, whatOf(intent))) : null,
  }
}

function stepsOf({ live, memory, freeze, disks }: CreateIntent, deep: boolean): string[] {
  const what = disks.length === 1 ? 'the disk' : `${disks.length} disks at one moment`
  return [
    ...(deep ? ['Shorten the chain under the disk, as an operation of its own'] : []),
    ...(freeze ? ["Let the guest's agent write everything out, and hold the guest's writes"] : []),
    ...(memory ? ["Write down the guest's memory while it stands still"] : []),
    live
      ? `Freeze ${what}; the guest goes on writing to an empty one over it`
      : `Make ${what} read-only, and an empty one over it`,
    'Record the snapshot, and write the records beside the disks',
  ]
}

export function warningsOf(record: NodeRecord, { live, freeze, memory, leftOut }: CreateIntent): string[] {
  const left = leftOut.map(
    (drive) => `The drive ${drive} is left out: it is read-only, or the guest does not have it yet.`,
  )
  return [
    ...left,
    ...(live && !freeze && !memory
      ? ['The node runs: what its guest has not yet written to its disk is not in the snapshot, as after a power cut.']
      : []),
    ...(memory
      ? [`The guest stands still while up to ${formatBytes(record.memoryMib * MIB)} of its memory are written down.`]
      : []),
  ]
}

export function titleOf({ name }: Pick<NodeRecord, 'name'>, request: { name: string }): string {
  return `Snapshot ${request.name} of ${name}`
}

/** Completes "Could not …". */
export function whatOf({ name, nodeName }: Pick<CreateIntent, 'name' | 'nodeName'>): string {
  return `take the snapshot ${name} of ${nodeName}`
}
