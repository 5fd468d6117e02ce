import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { DEFAULT_DRIVE_BYTES, driveRecordSchema, type CreateDrive } from '../../domain/drive.js'
import { SandlabError } from '../../domain/error.js'
import { driveFileName } from '../../domain/layout.js'
import type { OperationPlan } from '../../domain/plan.js'
import { formatBytes } from '../../domain/units.js'
import { recordOf, type Actor, type NodesContext } from '../../nodes/context.js'
import {
  createDriveFile,
  diskOwner,
  discardDriveFile,
  driveApiPath,
  removeDriveSidecar,
} from '../../storage/drive-files.js'
import { measureSpace, noSpace, reserveSpace, type Need } from '../../storage/space.js'
import { wholeSectors } from '../../system/qcow2-overlay.js'
import type { Procedure } from '../../transactions/procedure.js'
import { about, appliesLater, changeNode, changeSchema, NEXT_START, planned, tellNode } from './drive-changes.js'
import { newSettings, refuseForRoot, requireFreeId } from './drive-rules.js'
import { findDriveFile, refuseSharedFile, type DriveRights } from './drive-source.js'
import { aloneOnDrives } from './drive-turns.js'

const intentSchema = changeSchema.extend({ drive: driveRecordSchema })
type CreateIntent = z.infer<typeof intentSchema>

/** Makes a drive, or takes a file for one, and records it: the guest has it at the next start. */
export function createDriveProcedure(context: NodesContext): Procedure<CreateIntent> {
  const { layout } = context
  return {
    kind: 'drive.create',
    intent: intentSchema,
    resources: ({ drive }) => [{ type: 'drive', id: driveApiPath(layout, drive) }],
    around: ({ nodeId, drive, key }, work) =>
      reserveSpace(needsOf(context, drive), `add the drive ${drive.id}`, () =>
        aloneOnDrives(context, [nodeId], `add the drive ${drive.id} (${key.slice(0, 8)})`, work),
      ),
    steps: [
      {
        title: 'Making the drive',
        async do({ nodeId, drive }) {
          requireFreeId(recordOf(context, nodeId), drive.id)
          if (drive.source !== 'automatic') return
          const { file, sizeBytes } = drive
          const owner = await diskOwner(layout, nodeId)
          await createDriveFile({ layout, file, virtualSizeBytes: sizeBytes, backingFile: null, owner })
        },
        // A person's own file was there before.
        undo: async ({ drive }) => (drive.source === 'automatic' ? discardDriveFile(layout, drive.file) : undefined),
      },
    ],
    commit(draft, intent) {
      const { drive } = intent
      changeNode(context, draft, intent, (node) => {
        requireFreeId(node, drive.id)
        refuseSharedFile(layout, draft, drive)
        node.drives.push(drive)
        return `Drive ${drive.id} added: ${formatBytes(drive.sizeBytes)}, ${driveApiPath(layout, drive)}.`
      })
    },
    after: [
      {
        title: 'Writing the record beside the disk',
        async do({ nodeId, drive }) {
          if (drive.source === 'file') await removeDriveSidecar(layout, drive.file) // it is somebody's again
          await tellNode(context, nodeId)
          context.bus.publish('storage', 'orphans', null)
        },
      },
    ],
  }
}

/**
 * Resolves when the drive is recorded; what came before with the same key is not made twice. Throws `not_found`,
 * `drive_exists`, `quota_reached`, `bad_request`, `unsupported`, `no_space`, and what `findDriveFile` throws.
 */
export async function createDrive(
  context: NodesContext,
  nodeId: string,
  request: CreateDrive,
  actor: Actor,
  rights: DriveRights,
): Promise<void> {
  const earlier = context.transactions.earlier(actor)
  if (earlier) return earlier.result
  const intent = await prepare(context, nodeId, request, actor, rights)
  const title = titleOf(context, nodeId, request)
  const { result } = context.transactions.run(createDriveProcedure(context), intent, about(title, intent.nodeId, actor))
  await result
}

export async function planCreateDrive(
  context: NodesContext,
  nodeId: string,
  request: CreateDrive,
  actor: Actor,
  rights: DriveRights,
): Promise<OperationPlan> {
  return planned('drive.create', titleOf(context, nodeId, request), async () => {
    const { drive } = await prepare(context, nodeId, request, actor, rights)
    const space = await measureSpace(needsOf(context, drive))
    const short = space.find(({ freeUpBytes }) => freeUpBytes > 0)
    const path = driveApiPath(context.layout, drive)
    const made = drive.source === 'automatic'
    return {
      steps: [
        ...(made ? [`Make an empty, sparse disk of ${formatBytes(drive.sizeBytes)}`] : []),
        'Record it; the guest has it at its next start',
      ],
      space,
      creates: [{ type: 'drive', name: drive.id }],
      files: made ? [] : [{ path, bytes: drive.sizeBytes, fate: 'is given to the guest as it is' }],
      warnings: appliesLater(context, recordOf(context, nodeId)) ? [NEXT_START] : [],
      refusal: short ? noSpace(short, `add the drive ${drive.id}`) : null,
    }
  })
}

async function prepare(
  context: NodesContext,
  nodeId: string,
  request: CreateDrive,
  actor: Actor,
  rights: DriveRights,
): Promise<CreateIntent> {
  const record = recordOf(context, nodeId)
  if (request.root) refuseForRoot(record.name, 'added')
  requireFreeId(record, request.id)
  const settings = newSettings(request)
  const at = context.now().toISOString()
  const change = { nodeId: record.id, at, actorLogin: actor.login, key: randomUUID() }
  if (request.path === undefined) {
    const file = driveFileName(randomUUID())
    const sizeBytes = wholeSectors(request.sizeBytes ?? DEFAULT_DRIVE_BYTES)
    const made = { source: 'automatic' as const, file, format: 'qcow2' as const, sizeBytes }
    const drive = { ...settings, id: request.id, ...made, backing: { kind: 'none' as const }, createdAt: at }
    return { ...change, drive }
  }
  if (request.sizeBytes !== undefined) {
    throw new SandlabError('bad_request', 'A file has a size of its own: give a path or a size, not both.', {
      hint: 'Leave the size out. Nothing was changed.',
    })
  }
  const asked = { path: request.path, readOnly: request.readOnly }
  const found = await findDriveFile(context, nodeId, asked, rights)
  return { ...change, drive: { ...settings, id: request.id, source: 'file', ...found, createdAt: at } }
}

function needsOf({ layout, rules }: NodesContext, { source }: Pick<CreateIntent['drive'], 'source'>): Need[] {
  return source === 'automatic' ? [{ path: layout.overlays, bytes: rules.growthReserveBytes }] : []
}

function titleOf(context: NodesContext, nodeId: string, { id }: Pick<CreateDrive, 'id'>): string {
  return `Add the drive ${id} to ${recordOf(context, nodeId).name}`
}
