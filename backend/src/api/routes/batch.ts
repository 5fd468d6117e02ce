import { z } from 'zod'
import { SandlabError } from '../../domain/error.js'
import { operationIdSchema } from '../../domain/ids.js'
import { batchCreateSchema, guestPasswordEntrySchema, type BatchCreate } from '../../domain/node.js'
import { operationSchema } from '../../domain/operation.js'
import { requestsOf } from '../../nodes/batch.js'
import { route, type RouteContext } from '../route.js'
import { labOf } from '../services.js'
import { actorOf, refuseForeignOwner } from './nodes.js'
import { readable } from './operations.js'

/** Names that the audit log takes down; the operation has them all. */
const AUDITED_NAMES = 50

export const batchRoutes = [
  route({
    method: 'post',
    path: '/api/nodes/batch',
    tag: 'Nodes',
    summary: 'Create many nodes with one call: all or none, or with `keepGoing` those that can be made',
    access: 'node.create',
    body: batchCreateSchema,
    answer: { status: 202, schema: z.object({ operation: operationSchema }) },
    errors: ['not_found', 'name_taken', 'disk_too_small', 'quota_reached', 'no_space'],
    audit: 'node.create',
    async plan(context) {
      refuseForeignOwners(context)
      return labOf(context.services).nodes.planCreateMany(context.body, actorOf(context))
    },
    async handle(context) {
      const { services, body } = context
      const names = refuseForeignOwners(context)
      const details = { image: body.template.image, keepGoing: body.keepGoing, nodes: names.slice(0, AUDITED_NAMES) }
      context.about({ type: 'operation', id: '', name: `${names.length} nodes`, details })
      const operation = await labOf(services).nodes.createMany(body, actorOf(context))
      context.about({ type: 'operation', id: operation.id, name: operation.title, details })
      return { operation }
    },
  }),
  route({
    method: 'get',
    path: '/api/operations/{id}/passwords',
    tag: 'Operations',
    summary: 'Passwords that it generated for guests: told once, within an hour, to the one who asked for the nodes',
    access: 'signed-in',
    params: z.object({ id: operationIdSchema }),
    answer: { status: 200, schema: z.object({ passwords: z.array(guestPasswordEntrySchema) }) },
    errors: ['not_found', 'not_allowed', 'wrong_status'],
    async handle({ services, subject, params }) {
      const operation = readable(services, subject, params.id)
      if (operation.actorId !== subject.userId) {
        throw new SandlabError('not_allowed', `Only ${operation.actorLogin} may read these passwords.`)
      }
      if (operation.state === 'running') {
        throw new SandlabError('wrong_status', `${operation.title} is still under way.`, {
          hint: 'Ask again when it has ended.',
        })
      }
      const told = labOf(services).nodes.takeGuestPasswords(operation.id)
      return { passwords: operation.items.flatMap((item) => told.filter(({ id }) => id === item.id)) }
    },
  }),
]

/** All or nothing also here: one node that this person may not make refuses the batch. Answers with the names. */
function refuseForeignOwners({
  services,
  subject,
  body,
}: Pick<RouteContext<unknown, unknown, BatchCreate>, 'services' | 'subject' | 'body'>): string[] {
  const requests = requestsOf(body)
  for (const request of requests) refuseForeignOwner({ services, subject, body: request })
  return requests.map(({ name }) => name)
}
