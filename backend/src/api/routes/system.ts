import { z } from 'zod'
import { authorize } from '../../domain/authorize.js'
import { auditEntrySchema } from '../../domain/event.js'
import { SandlabError } from '../../domain/error.js'
import { healthReportSchema, overallState, worstFirst } from '../../domain/health.js'
import { subjectOf } from '../auth.js'
import { metricsText } from '../metrics.js'
import { route } from '../route.js'

const rebuildSchema = z
  .object({
    nodes: z.int(),
    images: z.int(),
    detached: z.int(),
    overlaysWithoutRecord: z.int(),
    unreadable: z.array(z.looseObject({})),
    movedAside: z.array(z.string()),
    ownerless: z.array(z.object({ login: z.string().nullable(), nodes: z.int() })),
  })
  .meta({ id: 'RebuildReport' })
const aliveSchema = z.object({ ok: z.boolean() })

export const systemRoutes = [
  route({
    method: 'get',
    path: '/api/health',
    tag: 'System',
    summary: 'Is it well; each part in words for administrators',
    access: 'public',
    answer: { status: 200, schema: healthReportSchema },
    beforeReady: true,
    beforePasswordChange: true,
    async handle({ services, request }) {
      const subject = await subjectOf(services, request).catch(() => null) // health must answer without a database
      const checks = worstFirst(await services.checkHealth())
      const details = subject !== null && authorize(subject, 'health.readDetails')
      return {
        live: true,
        ready: services.lab !== undefined,
        state: overallState(checks),
        version: services.version,
        ...(details ? { checks } : {}),
      }
    },
  }),
  route({
    method: 'get',
    path: '/api/health/live',
    tag: 'System',
    summary: 'The process answers',
    access: 'public',
    answer: { status: 200, schema: aliveSchema },
    beforeReady: true,
    beforePasswordChange: true,
    handle: async () => ({ ok: true }),
  }),
  route({
    method: 'get',
    path: '/api/health/ready',
    tag: 'System',
    summary: 'It takes requests; 503 until then',
    access: 'public',
    answer: { status: 200, schema: aliveSchema },
    errors: ['starting_up', 'safe_mode'],
    beforePasswordChange: true,
    handle: async () => ({ ok: true }),
  }),
  route({
    method: 'post',
    path: '/api/system/rebuild',
    tag: 'System',
    summary: 'Safe mode: rebuild the state from the records beside the disks',
    access: 'settings.manage',
    answer: { status: 200, schema: rebuildSchema },
    errors: ['wrong_status'],
    audit: 'system.rebuild',
    beforeReady: true,
    async handle(context) {
      context.about({ type: 'system', id: 'state' })
      if (!context.services.safeMode) {
        throw new SandlabError('wrong_status', 'SandLabX is not in safe mode; there is nothing to rebuild.')
      }
      return context.services.rebuild()
    },
  }),
  route({
    method: 'get',
    path: '/api/audit',
    tag: 'System',
    summary: 'Who did what, newest first',
    access: 'audit.read',
    query: z.strictObject({
      limit: z.coerce.number().int().min(1).max(500).default(100),
      before: z.string().max(100).optional(),
      actor: z.string().max(64).optional(),
      action: z.string().max(64).optional(),
      object: z.string().max(100).optional(),
    }),
    answer: { status: 200, schema: z.object({ entries: z.array(auditEntrySchema), next: z.string().nullable() }) },
    beforeReady: true,
    handle: async ({ services, query }) => {
      const { object, ...rest } = query
      return services.audit.list({ ...rest, objectId: object })
    },
  }),
  route({
    method: 'get',
    path: '/metrics',
    tag: 'System',
    summary: 'Prometheus metrics',
    access: 'metrics.read',
    answer: { status: 200, contentType: 'text/plain; version=0.0.4; charset=utf-8' },
    beforeReady: true,
    handle: async ({ services }) => ({
      contentType: 'text/plain; version=0.0.4; charset=utf-8',
      bytes: await metricsText(services),
    }),
  }),
]
