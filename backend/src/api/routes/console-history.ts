import { z } from 'zod'
import { authorize } from '../../domain/authorize.js'
import { consoleHistorySchema } from '../../domain/console-history.js'
import { route } from '../route.js'
import { nodeFor, nodeParams } from './nodes.js'

const query = z.strictObject({
  limit: z.coerce.number().int().min(1).max(500).optional(),
  /** `next` of the page before. */
  before: z.string().max(80).optional(),
})

export const consoleHistoryRoutes = [
  route({
    method: 'get',
    path: '/api/nodes/{id}/console-history',
    tag: 'Consoles',
    summary: 'Who had which console of this node open, newest first',
    access: 'signed-in',
    params: nodeParams,
    query,
    answer: { status: 200, schema: consoleHistorySchema },
    errors: ['not_found', 'bad_request', 'database_down'],
    async handle(context) {
      const { services, subject } = context
      const record = nodeFor(context, 'node.read')
      const { visits, next } = await services.consoleHistory.list(record.id, context.query)
      // A student sees who has looked at their node, but not from where teachers work.
      const seesAll = authorize(subject, 'user.list')
      const shown = visits.map((visit) =>
        seesAll || visit.userId === subject.userId ? visit : { ...visit, address: null },
      )
      return { visits: shown, next }
    },
  }),
]
