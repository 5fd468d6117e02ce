import { randomUUID } from 'node:crypto'
import { access } from 'node:fs/promises'
import { isDeepStrictEqual } from 'node:util'
import { z } from 'zod'
import {
  driveIdSchema,
  driveSettingsSchema,
  ROOT_DRIVE,
  type DriveSettings,
  type UpdateDrive,
} from '../../domain/drive.js'
import { SandlabError } from '../../domain/error.js'
import { liveLayerFile, overlayApiPath } from '../../domain/layout.js'
import { nodeRefuses, type NodeRecord } from '../../domain/node.js'
import type { OperationPlan } from '../../domain/plan.js'
import { formatBytes } from '../../domain/units.js'
import { recordOf, viewNode, type Actor, type NodesContext } from '../../nodes/context.js'
import { resizeDisk } from '../../storage/grow-disk.js'
import { errnoOf } from '../../system/durable-file.js'
import { wholeSectors } from '../../system/qcow2-overlay.js'
import type { Procedure } from '../../transactions/procedure.js'
import { about, appliesLater, changeNode, changeSchema, NEXT_START, planned, tellNode } from './drive-changes.js'
import { changedSettings, driveOf, refuseForRoot, requireGrowth } from './drive-rules.js'
import { refuseSharedFile } from './drive-source.js'
import { aloneOnDrives } from './drive-turns.js'
import { ownDisk, standOn } from '../own-disks.js'

const intentSchema = changeSchema.extend({
  driveId: driveIdSchema,
  /** Null: it stays as large as it is. `file` lies in `overlays/`. */
  growth: z.object({ file: z.string(), before: z.int(), after: z.int() }).nullable(),
  before: driveSettingsSchema,
  settings: driveSettingsSchema,
})
type UpdateIntent = z.infer<typeof intentSchema>

/** Changes how the guest reaches a drive, from the next start on, and grows the disk of a stopped node. */
export function updateDriveProcedure(context: NodesContext): Procedure<UpdateIntent> {
  const path = ({ file }: NonNullable<UpdateIntent['growth']>) => `${context.layout.overlays}/${file}`
  return {
    kind: 'drive.update',
    intent: intentSchema,
    resources: ({ driveId, growth }) => [{ type: 'drive', id: growth ? overlayApiPath(growth.file) : driveId }],
    around: ({ nodeId, driveId, key }, work) =>
      aloneOnDrives(context, [nodeId], `change the drive ${driveId} (${key.slice(0, 8)})`, work),
    steps: [
      {
        title: 'Growing the disk',
        async do({ nodeId, driveId, growth }) {
          if (!growth) return
          await requireGrowable(context, recordOf(context, nodeId), driveId, growth.before)
          await resizeDisk(path(growth), growth.after)
        },
        undo: (intent) => asRecorded(context, intent),
      },
    ],
    commit(draft, intent) {
      const { nodeId, driveId, growth, before, settings } = intent
      const changed = !isDeepStrictEqual(before, settings)
      const drivesChangedAt = draft.nodes.find(({ id }) => id === nodeId)?.drivesChangedAt ?? null
      changeNode(context, draft, intent, (node) => {
        if (changed) putSettings(context, node, driveId, settings)
        else node.drivesChangedAt = drivesChangedAt
        const disk = ownDisk(node, driveId)
        if (growth && disk) standOn(node, driveId, disk.backing, growth.after)
        if (changed && driveId !== ROOT_DRIVE) {
          refuseSharedFile(context.layout, draft, driveOf(node, driveId), { nodeId, driveId })
        }
        return describe(intent, changed)
      })
    },
    after: [{ title: 'Writing the record beside the disk', do: ({ nodeId }) => tellNode(context, nodeId) }],
  }
}

/** The disk has the size that its record says; no guest has seen another one. */
async function asRecorded({ layout, store }: NodesContext, { nodeId, driveId, growth }: UpdateIntent): Promise<void> {
  const record = store.data.nodes.find(({ id }) => id === nodeId)
  const disk = growth && record && ownDisk(record, driveId)
  if (!disk) return
  await resizeDisk(`${layout.overlays}/${disk.file}`, disk.diskBytes).catch((error: unknown) => {
    if (errnoOf(error) !== 'ENOENT') throw error
  })
}

/** Throws `not_found`, `bad_request`, `unsupported`, `wrong_status`, `disk_too_small`, `storage_in_use`, `busy`. */
export async function updateDrive(
  context: NodesContext,
  nodeId: string,
  driveId: string,
  request: UpdateDrive,
  actor: Actor,
): Promise<void> {
  const intent = prepare(context, nodeId, driveId, request, actor)
  if (!intent.growth && isDeepStrictEqual(intent.before, intent.settings)) return
  const title = titleOf(context, nodeId, driveId)
  const { result } = context.transactions.run(updateDriveProcedure(context), intent, about(title, intent.nodeId, actor))
  await result
}

export async function planUpdateDrive(
  context: NodesContext,
  nodeId: string,
  driveId: string,
  request: UpdateDrive,
  actor: Actor,
): Promise<OperationPlan> {
  return planned('drive.update', titleOf(context, nodeId, driveId), async () => {
    const { growth, before, settings } = prepare(context, nodeId, driveId, request, actor)
    const changed = !isDeepStrictEqual(before, settings)
    const record = recordOf(context, nodeId)
    return {
      steps: [
        ...(growth ? [`Grow it from ${formatBytes(growth.before)} to ${formatBytes(growth.after)}`] : []),
        ...(changed ? ['Record how the guest reaches it from its next start on'] : []),
      ],
      files: growth ? [{ path: overlayApiPath(growth.file), bytes: growth.before, fate: 'grows' }] : [],
      warnings: [
        ...(growth ? ['Its guest sees the larger disk; the file system on it is the guest’s to grow.'] : []),
        ...(changed && appliesLater(context, record) ? [NEXT_START] : []),
      ],
    }
  })
}

function prepare(
  context: NodesContext,
  nodeId: string,
  driveId: string,
  request: UpdateDrive,
  actor: Actor,
): UpdateIntent {
  const record = recordOf(context, nodeId)
  if (driveId === ROOT_DRIVE && request.readOnly === true) refuseForRoot(record.name, 'read-only')
  const before = settingsOf(record, driveId)
  const settings = changedSettings(before, request)
  if (driveId !== ROOT_DRIVE) {
    const drive = { ...driveOf(record, driveId), ...settings }
    refuseSharedFile(context.layout, context.store.data, drive, { nodeId, driveId })
  }
  const change = {
    nodeId: record.id,
    at: context.now().toISOString(),
    actorLogin: actor.login,
    key: randomUUID(),
    driveId,
  }
  return { ...change, before, settings, growth: growthOf(context, record, driveId, request.sizeBytes) }
}

function settingsOf(record: NodeRecord, driveId: string): DriveSettings {
  const from = driveId === ROOT_DRIVE ? record.rootDrive : driveOf(record, driveId)
  return driveSettingsSchema.parse(from)
}

function growthOf(
  context: NodesContext,
  record: NodeRecord,
  driveId: string,
  sizeBytes: number | undefined,
): UpdateIntent['growth'] {
  if (sizeBytes === undefined) return null
  const disk = ownDisk(record, driveId)
  if (!disk) {
    throw new SandlabError('unsupported', `The drive ${driveId} of ${record.name} is a file of your own.`, {
      hint: 'Grow the file yourself while the node is stopped, with `qemu-img resize`. Nothing was changed.',
    })
  }
  const after = wholeSectors(sizeBytes)
  const what = driveId === ROOT_DRIVE ? `The root disk of ${record.name}` : `The drive ${driveId} of ${record.name}`
  requireGrowth(what, disk.diskBytes, after)
  if (after === wholeSectors(disk.diskBytes)) return null
  const refusal = nodeRefuses('growDrive', viewNode(context, record).status)
  if (refusal !== undefined) throw new SandlabError('wrong_status', `${record.name}: ${refusal}`)
  return { file: disk.file, before: disk.diskBytes, after }
}

/** Asked again when nobody else works on the node. */
async function requireGrowable(
  context: NodesContext,
  record: NodeRecord,
  driveId: string,
  before: number,
): Promise<void> {
  context.observations.setEngine(await context.engine.inspect(record.id))
  const refusal = nodeRefuses('growDrive', viewNode(context, record).status)
  if (refusal !== undefined) throw new SandlabError('wrong_status', `${record.name}: ${refusal}`)
  if (ownDisk(record, driveId)?.diskBytes !== before) {
    throw new SandlabError('busy', `The drive ${driveId} of ${record.name} has changed. Try again.`)
  }
  const held = await access(liveLayerFile(context.layout, record.id)).then(
    () => true,
    () => false,
  )
  if (!held) return
  throw new SandlabError('busy', `${record.name} can't grow yet: what its guest wrote last is not in its disk.`, {
    hint: 'Start it once, or free disk space and start SandLabX again; then try again. Nothing was changed.',
  })
}

function putSettings(context: NodesContext, node: NodeRecord, driveId: string, settings: DriveSettings): void {
  const now = { ...settings, changedAt: context.now().toISOString() }
  if (driveId === ROOT_DRIVE) node.rootDrive = now
  else Object.assign(driveOf(node, driveId), now)
}

function describe({ driveId, growth, before, settings }: UpdateIntent, changed: boolean): string {
  const { limits } = settings
  const parts = [
    growth ? `grown from ${formatBytes(growth.before)} to ${formatBytes(growth.after)}` : '',
    before.readOnly === settings.readOnly ? '' : settings.readOnly ? 'read-only' : 'writable',
    before.cache === settings.cache ? '' : `cache ${before.cache} → ${settings.cache}`,
    before.io === settings.io ? '' : `io ${before.io} → ${settings.io}`,
    isDeepStrictEqual(before.limits, limits)
      ? ''
      : `limits ${limits.bytesPerSecond ?? 'no'} bytes/s, ${limits.operationsPerSecond ?? 'no'} operations/s`,
  ].filter((part) => part !== '')
  return `Drive ${driveId} changed: ${parts.join(', ')}${changed ? ', from the next start on' : ''}.`
}

function titleOf(context: NodesContext, nodeId: string, driveId: string): string {
  return `Change the drive ${driveId} of ${recordOf(context, nodeId).name}`
}
