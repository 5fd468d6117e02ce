import { z } from 'zod'
import { driveIdSchema, ROOT_DRIVE } from '../../domain/drive.js'
import { nodeIdSchema, snapshotIdSchema } from '../../domain/ids.js'
import { nodeViewSchema, type NodeRecord } from '../../domain/node.js'
import { operationSchema, type Operation } from '../../domain/operation.js'
import {
  createSnapshotSchema,
  restoreSnapshotSchema,
  snapshotScheduleSchema,
  snapshotsOf,
  snapshotViewSchema,
  updateSnapshotSchema,
} from '../../domain/snapshot.js'
import type { Snapshots, Which } from '../../disks/snapshots/snapshots.js'
import { route, type FileAnswer, type RouteContext } from '../route.js'
import { labOf } from '../services.js'
import { actorOf, nodeFor, nodeParams } from './nodes.js'

const params = z.object({ id: nodeIdSchema, snapshotId: snapshotIdSchema })
type SnapshotContext = RouteContext<z.infer<typeof params>, unknown, unknown>
const begun = { status: 202 as const, schema: z.object({ operation: operationSchema }) }

const snapshotsIn = ({ services }: Pick<SnapshotContext, 'services'>): Snapshots => labOf(services).disks.snapshots

/** Loads, authorizes, and names node and snapshot for the audit log. */
function whichOf(context: SnapshotContext, asked: Record<string, unknown> = {}): Which {
  const record = nodeFor(context, 'node.snapshot')
  const { id, snapshotId } = context.params
  const { snapshots } = labOf(context.services).store.data
  const name = snapshotsOf({ snapshots }, id).find((one) => one.id === snapshotId)?.name
  const details = { ...asked, snapshot: name ?? snapshotId }
  context.about({ type: 'node', id: record.id, name: record.name, details })
  return { id, snapshotId }
}

function told(context: Pick<SnapshotContext, 'about'>, record: NodeRecord, operation: Operation, details: object) {
  context.about({ type: 'node', id: record.id, name: record.name, details: { ...details, operation: operation.id } })
  return { operation }
}

export const snapshotRoutes = [
  route({
    method: 'get',
    path: '/api/nodes/{id}/snapshots',
    tag: 'Snapshots',
    summary: 'Snapshots of a node, newest first',
    access: 'signed-in',
    params: nodeParams,
    answer: { status: 200, schema: z.object({ snapshots: z.array(snapshotViewSchema) }) },
    errors: ['not_found'],
    handle: async (context) => ({ snapshots: await snapshotsIn(context).list(nodeFor(context, 'node.read').id) }),
  }),
  route({
    method: 'post',
    path: '/api/nodes/{id}/snapshots',
    tag: 'Snapshots',
    summary: 'Keep the disks of a node as they are now, running or not',
    access: 'node.snapshot',
    params: nodeParams,
    body: createSnapshotSchema,
    answer: begun,
    errors: [
      'not_found',
      'name_taken',
      'wrong_status',
      'quota_reached',
      'no_space',
      'unsupported',
      'busy',
      'not_allowed',
    ],
    audit: 'snapshot.create',
    plan: (context) =>
      snapshotsIn(context).planCreate(nodeFor(context, 'node.snapshot').id, context.body, actorOf(context)),
    async handle(context) {
      const record = nodeFor(context, 'node.snapshot')
      const { name: snapshot, drives, memory, freeze } = context.body
      const details = { snapshot, memory, freeze, ...(drives && { drives }) }
      context.about({ type: 'node', id: record.id, name: record.name, details })
      return told(
        context,
        record,
        await snapshotsIn(context).create(record.id, context.body, actorOf(context)),
        details,
      )
    },
  }),
  route({
    method: 'patch',
    path: '/api/nodes/{id}/snapshots/{snapshotId}',
    tag: 'Snapshots',
    summary: 'Rename a snapshot, or change its note',
    access: 'node.snapshot',
    params,
    body: updateSnapshotSchema,
    answer: { status: 200, schema: z.object({ snapshot: snapshotViewSchema }) },
    errors: ['not_found', 'name_taken', 'not_allowed'],
    audit: 'snapshot.update',
    handle: async (context) => ({
      snapshot: await snapshotsIn(context).update(whichOf(context, context.body), context.body),
    }),
  }),
  route({
    method: 'post',
    path: '/api/nodes/{id}/snapshots/{snapshotId}/restore',
    tag: 'Snapshots',
    summary: 'Give a node the disks of a snapshot again; the present ones go to the trash',
    access: 'node.snapshot',
    params,
    body: restoreSnapshotSchema,
    answer: begun,
    errors: ['not_found', 'wrong_status', 'chain_broken', 'no_space', 'busy', 'not_allowed'],
    audit: 'snapshot.restore',
    plan: (context) => snapshotsIn(context).planRestore(whichOf(context), context.body, actorOf(context)),
    handle: async (context) => ({
      operation: await snapshotsIn(context).restore(whichOf(context, context.body), context.body, actorOf(context)),
    }),
  }),
  route({
    method: 'delete',
    path: '/api/nodes/{id}/snapshots/{snapshotId}',
    tag: 'Snapshots',
    summary: 'Delete a snapshot: what one disk alone stands on is merged into it',
    access: 'node.snapshot',
    params,
    answer: begun,
    errors: ['not_found', 'wrong_status', 'chain_broken', 'no_space', 'busy', 'not_allowed'],
    audit: 'snapshot.delete',
    plan: (context) => snapshotsIn(context).planDelete(whichOf(context), actorOf(context)),
    handle: async (context) => ({ operation: await snapshotsIn(context).delete(whichOf(context), actorOf(context)) }),
  }),
  route({
    method: 'get',
    path: '/api/nodes/{id}/snapshots/{snapshotId}/export',
    tag: 'Snapshots',
    summary: 'One disk of a snapshot as a qcow2 file that needs no other',
    access: 'node.snapshot',
    params,
    query: z.strictObject({ drive: driveIdSchema.default(ROOT_DRIVE) }),
    answer: { status: 200, contentType: 'application/octet-stream' },
    errors: ['not_found', 'chain_broken', 'no_space', 'not_allowed'],
    async handle(context): Promise<FileAnswer> {
      const { drive } = context.query
      const gone = new AbortController()
      context.response.once('close', () => gone.abort())
      const which = whichOf(context, { drive })
      const file = await snapshotsIn(context).export(which, drive, actorOf(context), gone.signal)
      return { contentType: 'application/octet-stream', ...file }
    },
  }),
  route({
    method: 'put',
    path: '/api/nodes/{id}/snapshot-schedule',
    tag: 'Snapshots',
    summary: 'When snapshots of a node are taken by themselves, and how many are kept',
    access: 'node.snapshot',
    params: nodeParams,
    body: z.strictObject({ schedule: snapshotScheduleSchema.nullable() }).meta({ id: 'SetSnapshotSchedule' }),
    answer: { status: 200, schema: z.object({ node: nodeViewSchema }) },
    errors: ['not_found', 'quota_reached', 'not_allowed'],
    audit: 'node.snapshotSchedule',
    async handle(context) {
      const record = nodeFor(context, 'node.snapshot')
      const { schedule } = context.body
      context.about({ type: 'node', id: record.id, name: record.name, details: { schedule } })
      await snapshotsIn(context).setSchedule(record.id, schedule, actorOf(context))
      return { node: labOf(context.services).nodes.get(record.id) }
    },
  }),
]
