import {
  ROOT_DRIVE,
  type CreateDrive,
  type DriveRecord,
  type DriveView,
  type MoveDrive,
  type UpdateDrive,
} from '../../domain/drive.js'
import { SandlabError } from '../../domain/error.js'
import { overlayApiPath, overlayFile } from '../../domain/layout.js'
import type { NodeRecord } from '../../domain/node.js'
import type { OperationPlan } from '../../domain/plan.js'
import { recordOf, viewNode, type Actor, type NodesContext } from '../../nodes/context.js'
import { isAfter } from '../../nodes/view.js'
import { driveApiPath, drivePath } from '../../storage/drive-files.js'
import { look } from '../../storage/overlay-faults.js'
import { refuseSuspended } from './drive-changes.js'
import { createDrive, planCreateDrive } from './drive-create.js'
import { deleteDrive, planDeleteDrive } from './drive-delete.js'
import { moveDrive, planMoveDrive } from './drive-move.js'
import type { DriveRights } from './drive-source.js'
import { planUpdateDrive, updateDrive } from './drive-update.js'

/** A node's drives: records, changed in every status but `suspended`, applied at the next start. Each throws SandlabError. */
export interface Drives {
  /** The root disk first, then in the order in which the guest sees them. */
  list(nodeId: string): Promise<DriveView[]>
  create(nodeId: string, request: CreateDrive, actor: Actor, rights: DriveRights): Promise<DriveView>
  planCreate(nodeId: string, request: CreateDrive, actor: Actor, rights: DriveRights): Promise<OperationPlan>
  update(nodeId: string, driveId: string, request: UpdateDrive, actor: Actor): Promise<DriveView>
  planUpdate(nodeId: string, driveId: string, request: UpdateDrive, actor: Actor): Promise<OperationPlan>
  delete(nodeId: string, driveId: string, deleteStorage: boolean, actor: Actor): Promise<void>
  planDelete(nodeId: string, driveId: string, deleteStorage: boolean, actor: Actor): Promise<OperationPlan>
  /** Answers with the drive as its new node has it. */
  move(nodeId: string, driveId: string, request: MoveDrive, actor: Actor): Promise<DriveView>
  planMove(nodeId: string, driveId: string, request: MoveDrive, actor: Actor): Promise<OperationPlan>
}

export function createDrives(context: NodesContext): Drives {
  const list = async (nodeId: string) => viewDrives(context, recordOf(context, nodeId))
  const changeable = (...ids: string[]) => ids.forEach((id) => refuseSuspended(recordOf(context, id)))
  const one = async (nodeId: string, driveId: string): Promise<DriveView> => {
    const found = (await list(nodeId)).find(({ id }) => id === driveId)
    if (!found) throw new SandlabError('not_found', `The drive ${driveId} is gone again.`)
    return found
  }
  return {
    list,
    async create(nodeId, request, actor, rights) {
      changeable(nodeId)
      await createDrive(context, nodeId, request, actor, rights)
      return one(nodeId, request.id)
    },
    planCreate: (nodeId, request, actor, rights) => planCreateDrive(context, nodeId, request, actor, rights),
    async update(nodeId, driveId, request, actor) {
      changeable(nodeId)
      await updateDrive(context, nodeId, driveId, request, actor)
      return one(nodeId, driveId)
    },
    planUpdate: (nodeId, driveId, request, actor) => planUpdateDrive(context, nodeId, driveId, request, actor),
    async delete(nodeId, driveId, deleteStorage, actor) {
      changeable(nodeId)
      await deleteDrive(context, nodeId, driveId, deleteStorage, actor)
    },
    planDelete: (nodeId, driveId, deleteStorage, actor) =>
      planDeleteDrive(context, nodeId, driveId, deleteStorage, actor),
    async move(nodeId, driveId, request, actor) {
      changeable(nodeId, request.toNodeId)
      await moveDrive(context, nodeId, driveId, request, actor)
      return one(request.toNodeId, request.newId ?? driveId)
    },
    planMove: (nodeId, driveId, request, actor) => planMoveDrive(context, nodeId, driveId, request, actor),
  }
}

async function viewDrives(context: NodesContext, record: NodeRecord): Promise<DriveView[]> {
  const { startedAt } = viewNode(context, record)
  const { overlayFile: file, diskBytes, rootDrive, createdAt } = record
  const root = {
    ...rootDrive,
    id: ROOT_DRIVE,
    root: true,
    source: 'automatic' as const,
    path: overlayApiPath(file),
    format: 'qcow2' as const,
    sizeBytes: diskBytes,
    appliesAtNextStart: isAfter(rootDrive.changedAt, startedAt),
    createdAt,
  }
  const others = record.drives.map((drive) => ({
    ...drive,
    root: false,
    path: driveApiPath(context.layout, drive),
    appliesAtNextStart: isAfter(drive.changedAt, startedAt) || isAfter(drive.createdAt, startedAt),
    where: drivePath(context.layout, drive),
  }))
  return Promise.all([{ ...root, where: overlayFile(context.layout, record.id) }, ...others].map(withFile))
}

type Unseen = Omit<DriveView, 'usedBytes' | 'missing'> & { where: string } & Partial<DriveRecord>

async function withFile(drive: Unseen): Promise<DriveView> {
  const { id, root, source, path, format, sizeBytes, readOnly, cache, io, limits, appliesAtNextStart, createdAt } =
    drive
  const { stats, fault } = await look(drive.where)
  const usedBytes = stats ? stats.blocks * 512 : null
  const shown = { id, root, source, path, format, sizeBytes, usedBytes, readOnly, cache, io, limits }
  return { ...shown, appliesAtNextStart, missing: fault === 'is missing', createdAt }
}
