import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { authorize } from '../../domain/authorize.js'
import { SandlabError } from '../../domain/error.js'
import { operationIdSchema } from '../../domain/ids.js'
import { testBootScreenFile } from '../../domain/layout.js'
import { operationSchema, type Operation } from '../../domain/operation.js'
import { testBootReportSchema, testBootSchema, testBootState, type TestBootReport } from '../../domain/test-boot.js'
import type { Subject } from '../../domain/user.js'
import { viewTestBoot } from '../../disks/test-boot/test-boot.js'
import { accessNode } from '../node-access.js'
import { route, type RawAnswer } from '../route.js'
import { labOf, type Services } from '../services.js'
import { actorOf } from './nodes.js'
import { mayRead, readable } from './operations.js'

const params = z.object({ id: operationIdSchema })

export const testBootRoutes = [
  route({
    method: 'post',
    path: '/api/test-boots',
    tag: 'Storage',
    summary: 'Boot a disk in a node that leaves nothing, and look whether its guest comes up',
    access: 'signed-in',
    body: testBootSchema,
    answer: { status: 202, schema: z.object({ operation: operationSchema }) },
    errors: [
      'not_found',
      'not_allowed',
      'wrong_status',
      'storage_not_found',
      'chain_broken',
      'node_broken',
      'unsupported',
    ],
    audit: 'node.testBoot',
    async handle(context) {
      const { services, subject, body } = context
      const nodeId = body.nodeId ?? nodeOfSnapshot(services, body.snapshotId)
      if (nodeId !== undefined) {
        context.about({ type: 'node', id: nodeId })
        context.about({ type: 'node', id: nodeId, name: accessNode(services, subject, nodeId, 'node.power').name })
      } else {
        context.about({ type: 'storage', id: body.path ?? body.snapshotId ?? '' })
        if (!authorize(subject, 'storage.manage')) throw new SandlabError('not_allowed', 'You may not boot this disk.')
      }
      return { operation: await labOf(services).disks.testBoots.begin(body, actorOf(context)) }
    },
  }),
  route({
    method: 'get',
    path: '/api/test-boots',
    tag: 'Storage',
    summary: 'What test boots have found, newest first',
    access: 'signed-in',
    answer: { status: 200, schema: z.object({ reports: z.array(testBootReportSchema) }) },
    async handle({ services, subject }) {
      const { disks, operations } = labOf(services)
      const kept = await disks.testBoots.list()
      const mine = kept.filter(({ operationId, ownerId }) => {
        const operation = operations.get(operationId)
        return operation ? mayRead(services, subject, operation) : ownerId === subject.userId
      })
      return { reports: mine.map(viewTestBoot) }
    },
  }),
  route({
    method: 'get',
    path: '/api/test-boots/{id}',
    tag: 'Storage',
    summary: 'What one test boot has found, by its operation',
    access: 'signed-in',
    params,
    answer: { status: 200, schema: z.object({ report: testBootReportSchema }) },
    errors: ['not_found'],
    handle: async ({ services, subject, params: { id } }) => ({ report: await reportOf(services, subject, id) }),
  }),
  route({
    method: 'get',
    path: '/api/test-boots/{id}/screenshot',
    tag: 'Storage',
    summary: 'The screen at the end of a test boot',
    access: 'signed-in',
    params,
    answer: { status: 200, contentType: 'image/png' },
    errors: ['not_found'],
    async handle({ services, subject, params: { id } }): Promise<RawAnswer> {
      const { hasScreenshot } = await reportOf(services, subject, id)
      if (!hasScreenshot) throw new SandlabError('not_found', 'There is no picture of this test boot.')
      return { contentType: 'image/png', bytes: await readFile(testBootScreenFile(services.config.layout, id)) }
    },
  }),
]

function nodeOfSnapshot(services: Services, snapshotId: string | undefined): string | undefined {
  return labOf(services).store.data.snapshots.find(({ id }) => id === snapshotId)?.nodeId
}

/** Throws `not_found`, also for a foreign one. */
async function reportOf(services: Services, subject: Subject, id: string): Promise<TestBootReport> {
  const operation = readable(services, subject, id)
  if (operation.kind !== 'node.testBoot') throw new SandlabError('not_found', `There is no test boot ${id}.`)
  const kept = await labOf(services).disks.testBoots.report(operation.id)
  return kept ? viewTestBoot(kept) : withoutReport(operation)
}

/** It still runs, or ended before it could see anything. */
function withoutReport({ id, title, state, step, error, startedAt }: Operation): TestBootReport {
  return {
    operationId: id,
    title: title.replace(/^Test boot of /, ''),
    state: testBootState(state),
    seen: null,
    message: error?.message ?? step,
    tookMs: null,
    serialTail: [],
    hasScreenshot: false,
    at: startedAt,
  }
}
