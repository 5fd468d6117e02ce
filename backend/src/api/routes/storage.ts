import { z } from 'zod'
import { authorize, type Action } from '../../domain/authorize.js'
import { SandlabError } from '../../domain/error.js'
import { operationIdSchema } from '../../domain/ids.js'
import { operationSchema } from '../../domain/operation.js'
import {
  repairRequestSchema,
  spaceReportSchema,
  verifyReportSchema,
  verifyRequestSchema,
  type Repair,
  type RepairRequest,
  type VerifyReport,
} from '../../domain/storage.js'
import type { Subject } from '../../domain/user.js'
import type { RepairRights } from '../../disks/verify/repair.js'
import { accessNode, ownedBy } from '../node-access.js'
import { route, type RouteContext } from '../route.js'
import { labOf, type Services } from '../services.js'
import { actorOf } from './nodes.js'
import { readable } from './operations.js'

const reportAnswer = z.object({ report: verifyReportSchema })

export const storageRoutes = [
  route({
    method: 'post',
    path: '/api/storage/verify',
    tag: 'Storage',
    summary: 'Look whether the storage of a node, or all storage, is as the records say; changes nothing',
    access: 'signed-in',
    body: verifyRequestSchema,
    answer: { status: 202, schema: z.object({ operation: operationSchema }) },
    errors: ['not_found', 'not_allowed'],
    audit: 'storage.verify',
    async handle(context) {
      const { services, subject, body } = context
      const { nodeId, level } = body
      if (nodeId === undefined) {
        context.about({ type: 'storage', id: 'all', details: { level } })
        if (!authorize(subject, 'storage.read')) {
          throw new SandlabError('not_allowed', 'You may not look at all storage.', { hint: 'Name a node of yours.' })
        }
      } else {
        context.about({ type: 'node', id: nodeId, details: { level } })
        const record = accessNode(services, subject, nodeId, 'node.read')
        context.about({ type: 'node', id: nodeId, name: record.name, details: { level } })
      }
      return { operation: labOf(services).disks.verify.begin(body, actorOf(context)).operation }
    },
  }),
  route({
    method: 'get',
    path: '/api/storage/reports/{id}',
    tag: 'Storage',
    summary: 'What a verification has found; the newest 20 are kept',
    access: 'signed-in',
    params: z.object({ id: operationIdSchema }),
    answer: { status: 200, schema: reportAnswer },
    errors: ['not_found'],
    handle: async ({ services, subject, params }) => ({
      report: await readableReport(services, subject, params.id),
    }),
  }),
  route({
    method: 'get',
    path: '/api/storage/report',
    tag: 'Storage',
    summary: 'What was found when all storage was looked at the last time',
    access: 'storage.read',
    answer: { status: 200, schema: reportAnswer },
    errors: ['not_found'],
    async handle({ services }) {
      const report = await labOf(services).disks.verify.newest()
      if (report) return { report }
      throw new SandlabError('not_found', 'Nobody has looked at all storage yet.', {
        hint: 'Run `sandlabx storage verify --all`.',
      })
    },
  }),
  route({
    method: 'post',
    path: '/api/storage/repair',
    tag: 'Storage',
    summary: 'Put right what a verification has found, by one of the repairs that the finding offers',
    access: 'signed-in',
    body: repairRequestSchema,
    answer: { status: 202, schema: z.object({ operation: operationSchema }) },
    errors: [
      'not_found',
      'not_allowed',
      'unsupported',
      'wrong_status',
      'busy',
      'storage_not_found',
      'config_mismatch',
      'checksum_mismatch',
      'chain_broken',
      'bad_request',
    ],
    audit: 'storage.repair',
    async plan(context) {
      const rights = repairRights(context)
      return labOf(context.services).disks.repairs.plan(context.body, actorOf(context), rights)
    },
    async handle(context) {
      const rights = repairRights(context)
      const operation = await labOf(context.services).disks.repairs.begin(context.body, actorOf(context), rights)
      return { operation }
    },
  }),
  route({
    method: 'get',
    path: '/api/storage/space',
    tag: 'Storage',
    summary: 'Where the room on the disks is: nodes, images, snapshots, trash, orphans; each file counted once',
    access: 'storage.read',
    answer: { status: 200, schema: z.object({ space: spaceReportSchema }) },
    handle: async ({ services }) => ({ space: await labOf(services).disks.space() }),
  }),
]

/** What each repair is, as a right on the node; those that touch what is not the node's are for administrators. */
const REPAIR_ACTIONS: Record<Repair, Action> = {
  'recreate-drive': 'node.drives',
  'restore-from-trash': 'trash.restore',
  'restore-snapshot': 'node.snapshot',
  'write-sidecar': 'node.update',
  rebase: 'storage.manage',
  attach: 'storage.manage',
  'drop-record': 'storage.manage',
}

/** Throws `not_found`, `not_allowed`. Names what is repaired for the audit log. */
function repairRights(context: RouteContext<unknown, unknown, RepairRequest>): RepairRights {
  const { services, subject, body } = context
  const { nodeId, repair, path, argument } = body
  const details = { repair, path, argument }
  if (nodeId === undefined) {
    context.about({ type: 'storage', id: path, details })
    if (!authorize(subject, 'storage.manage')) {
      throw new SandlabError('not_allowed', 'You may not repair what several nodes stand on.', {
        hint: 'Ask an administrator.',
      })
    }
  } else {
    context.about({ type: 'node', id: nodeId, details })
    const { name } = accessNode(services, subject, nodeId, REPAIR_ACTIONS[repair])
    context.about({ type: 'node', id: nodeId, name, details })
  }
  return {
    mayRestore: (ownerId) =>
      ownerId === null
        ? authorize(subject, 'storage.manage')
        : authorize(subject, 'trash.restore', ownedBy(services, ownerId)),
  }
}

/** Whoever may see all storage reads every report; others those that they asked for. A foreign one is as if absent. */
async function readableReport(services: Services, subject: Subject, operationId: string): Promise<VerifyReport> {
  const kept = await labOf(services).disks.verify.report(operationId)
  if (!authorize(subject, 'storage.read')) readable(services, subject, operationId)
  if (kept) return kept.report
  throw new SandlabError('not_found', `There is no report of the operation ${operationId}.`, {
    hint: 'It may not have ended yet; old ones are not kept.',
  })
}
