import { z } from 'zod'
import { authorize } from '../../domain/authorize.js'
import { SandlabError } from '../../domain/error.js'
import { operationIdSchema } from '../../domain/ids.js'
import { operationSchema } from '../../domain/operation.js'
import { spaceReportSchema, verifyReportSchema, verifyRequestSchema, type VerifyReport } from '../../domain/storage.js'
import type { Subject } from '../../domain/user.js'
import { accessNode } from '../node-access.js'
import { route } from '../route.js'
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
    method: 'get',
    path: '/api/storage/space',
    tag: 'Storage',
    summary: 'Where the room on the disks is: nodes, images, snapshots, trash, orphans; each file counted once',
    access: 'storage.read',
    answer: { status: 200, schema: z.object({ space: spaceReportSchema }) },
    handle: async ({ services }) => ({ space: await labOf(services).disks.space() }),
  }),
]

/** Whoever may see all storage reads every report; others those that they asked for. A foreign one is as if absent. */
async function readableReport(services: Services, subject: Subject, operationId: string): Promise<VerifyReport> {
  const kept = await labOf(services).disks.verify.report(operationId)
  if (!authorize(subject, 'storage.read')) readable(services, subject, operationId)
  if (kept) return kept.report
  throw new SandlabError('not_found', `There is no report of the operation ${operationId}.`, {
    hint: 'It may not have ended yet; old ones are not kept.',
  })
}
