import { z } from 'zod'
import { authorize } from '../../domain/authorize.js'
import {
  createDriveSchema,
  driveIdSchema,
  driveViewSchema,
  moveDriveSchema,
  updateDriveSchema,
} from '../../domain/drive.js'
import type { DriveRights } from '../../disks/drives/drive-source.js'
import { accessNode, ownedBy } from '../node-access.js'
import { route, type RouteContext } from '../route.js'
import { labOf } from '../services.js'
import { actorOf, nodeFor, nodeParams } from './nodes.js'

const driveParams = nodeParams.extend({ driveId: driveIdSchema })
const driveAnswer = z.object({ drive: driveViewSchema })

type Asked = Pick<RouteContext<unknown, unknown, unknown>, 'services' | 'subject'>

/** Without the right to manage all storage one takes only what was of one's own people. */
const rightsOf = ({ services, subject }: Asked): DriveRights => ({
  manageStorage: authorize(subject, 'storage.manage'),
  mayTakeFrom: (ownerId) => authorize(subject, 'node.drives', ownedBy(services, ownerId)),
})

const drivesOf = ({ services }: Pick<Asked, 'services'>) => labOf(services).disks.drives

export const driveRoutes = [
  route({
    method: 'get',
    path: '/api/nodes/{id}/drives',
    tag: 'Drives',
    summary: 'The disks of a node, the root disk first',
    access: 'signed-in',
    params: nodeParams,
    answer: { status: 200, schema: z.object({ drives: z.array(driveViewSchema) }) },
    errors: ['not_found'],
    handle: async (context) => ({ drives: await drivesOf(context).list(nodeFor(context, 'node.read').id) }),
  }),
  route({
    method: 'post',
    path: '/api/nodes/{id}/drives',
    tag: 'Drives',
    summary: 'Add a drive, in every status of the node; the guest has it at the next start',
    access: 'signed-in',
    params: nodeParams,
    body: createDriveSchema,
    answer: { status: 201, schema: driveAnswer },
    errors: [
      'not_found',
      'not_allowed',
      'drive_exists',
      'quota_reached',
      'bad_request',
      'unsupported',
      'path_not_allowed',
      'storage_not_found',
      'storage_in_use',
      'hostile_header',
      'no_space',
      'busy',
    ],
    audit: 'drive.create',
    plan(context) {
      const { id } = nodeFor(context, 'node.drives')
      return drivesOf(context).planCreate(id, context.body, actorOf(context), rightsOf(context))
    },
    async handle(context) {
      const { id, name } = nodeFor(context, 'node.drives')
      context.about({ type: 'node', id, name, details: { ...context.body, drive: context.body.id } })
      return { drive: await drivesOf(context).create(id, context.body, actorOf(context), rightsOf(context)) }
    },
  }),
  route({
    method: 'patch',
    path: '/api/nodes/{id}/drives/{driveId}',
    tag: 'Drives',
    summary: 'Change how the guest reaches a drive from the next start on; grow it while the node is stopped',
    access: 'signed-in',
    params: driveParams,
    body: updateDriveSchema,
    answer: { status: 200, schema: driveAnswer },
    errors: [
      'not_found',
      'not_allowed',
      'bad_request',
      'unsupported',
      'wrong_status',
      'disk_too_small',
      'storage_in_use',
      'busy',
    ],
    audit: 'drive.update',
    async plan(context) {
      const { id } = nodeFor(context, 'node.drives')
      return drivesOf(context).planUpdate(id, context.params.driveId, context.body, actorOf(context))
    },
    async handle(context) {
      const { driveId } = context.params
      const { id, name } = nodeFor(context, 'node.drives')
      context.about({ type: 'node', id, name, details: { ...context.body, drive: driveId } })
      return { drive: await drivesOf(context).update(id, driveId, context.body, actorOf(context)) }
    },
  }),
  route({
    method: 'delete',
    path: '/api/nodes/{id}/drives/{driveId}',
    tag: 'Drives',
    summary: 'Take a drive off; its file is kept unless asked, then it moves to the trash; your own file is left alone',
    access: 'signed-in',
    params: driveParams,
    query: z.strictObject({ deleteStorage: z.enum(['true', 'false']).default('false') }),
    answer: { status: 204 },
    errors: ['not_found', 'not_allowed', 'unsupported', 'busy'],
    audit: 'drive.delete',
    async plan(context) {
      const { id } = nodeFor(context, 'node.drives')
      const deleteStorage = context.query.deleteStorage === 'true'
      return drivesOf(context).planDelete(id, context.params.driveId, deleteStorage, actorOf(context))
    },
    async handle(context) {
      const { driveId } = context.params
      const deleteStorage = context.query.deleteStorage === 'true'
      const { id, name } = nodeFor(context, 'node.drives')
      context.about({ type: 'node', id, name, details: { drive: driveId, deleteStorage } })
      await drivesOf(context).delete(id, driveId, deleteStorage, actorOf(context))
    },
  }),
  route({
    method: 'post',
    path: '/api/nodes/{id}/drives/{driveId}/move',
    tag: 'Drives',
    summary: 'Move a drive to another node; the one that has it must not run',
    access: 'signed-in',
    params: driveParams,
    body: moveDriveSchema,
    answer: { status: 200, schema: driveAnswer },
    errors: [
      'not_found',
      'not_allowed',
      'drive_exists',
      'quota_reached',
      'bad_request',
      'unsupported',
      'wrong_status',
      'busy',
    ],
    audit: 'drive.move',
    async plan(context) {
      const { id } = nodeFor(context, 'node.drives')
      accessNode(context.services, context.subject, context.body.toNodeId, 'node.drives')
      return drivesOf(context).planMove(id, context.params.driveId, context.body, actorOf(context))
    },
    async handle(context) {
      const { driveId } = context.params
      const { id, name } = nodeFor(context, 'node.drives')
      context.about({ type: 'node', id, name, details: { ...context.body, drive: driveId } })
      accessNode(context.services, context.subject, context.body.toNodeId, 'node.drives')
      return { drive: await drivesOf(context).move(id, driveId, context.body, actorOf(context)) }
    },
  }),
]
