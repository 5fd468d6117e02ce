import { z } from 'zod'
import { authorize } from '../../domain/authorize.js'
import { SandlabError } from '../../domain/error.js'
import { operationIdSchema, userIdSchema } from '../../domain/ids.js'
import { OPERATION_KINDS, OPERATION_STATES, operationSchema, type Operation } from '../../domain/operation.js'
import type { Subject } from '../../domain/user.js'
import { KEPT_OPERATIONS } from '../../transactions/operation-record.js'
import { ownedBy } from '../node-access.js'
import { route } from '../route.js'
import { labOf, type Services } from '../services.js'

const DEFAULT_LIMIT = 200

const params = z.object({ id: operationIdSchema })
const listQuery = z.strictObject({
  state: z.enum(OPERATION_STATES).optional(),
  kind: z.enum(OPERATION_KINDS).optional(),
  /** How many at most. */
  limit: z.coerce.number().int().min(1).max(KEPT_OPERATIONS).default(DEFAULT_LIMIT),
})

export const operationRoutes = [
  route({
    method: 'get',
    path: '/api/operations',
    tag: 'Operations',
    summary: `Long actions, newest first: all that run, and the newest ${KEPT_OPERATIONS} that have ended`,
    access: 'operation.list',
    query: listQuery,
    answer: { status: 200, schema: z.object({ operations: z.array(operationSchema) }) },
    handle: async ({ services, subject, query: { state, kind, limit } }) => ({
      operations: labOf(services)
        .operations.list()
        .filter((operation) => state === undefined || operation.state === state)
        .filter((operation) => kind === undefined || operation.kind === kind)
        .filter((operation) => mayRead(services, subject, operation))
        .slice(0, limit),
    }),
  }),
  route({
    method: 'get',
    path: '/api/operations/{id}',
    tag: 'Operations',
    summary: 'One operation with its log',
    access: 'signed-in',
    params,
    answer: { status: 200, schema: z.object({ operation: operationSchema }) },
    errors: ['not_found'],
    handle: async ({ services, subject, params }) => ({ operation: readable(services, subject, params.id) }),
  }),
  route({
    method: 'post',
    path: '/api/operations/{id}/cancel',
    tag: 'Operations',
    summary: 'Cancel, where that is safe',
    access: 'signed-in',
    params,
    answer: { status: 200, schema: z.object({ operation: operationSchema }) },
    errors: ['not_found', 'wrong_status'],
    audit: 'operation.cancel',
    async handle(context) {
      const { services, subject, params } = context
      context.about({ type: 'operation', id: params.id })
      const operation = readable(services, subject, params.id)
      context.about({ type: 'operation', id: params.id, name: operation.title })
      return { operation: labOf(services).operations.cancel(operation.id) }
    },
  }),
]

export function mayRead(services: Services, subject: Subject, operation: Operation): boolean {
  const ownerId = userIdSchema.safeParse(operation.actorId)
  if (!ownerId.success) return subject.role === 'administrator'
  return authorize(subject, 'operation.read', ownedBy(services, ownerId.data))
}

/** A foreign operation answers like an absent one. Whoever may read one may cancel it: the reaches are the same. */
export function readable(services: Services, subject: Subject, id: string): Operation {
  const operation = labOf(services).operations.get(id)
  if (operation && mayRead(services, subject, operation)) return operation
  throw new SandlabError('not_found', `There is no operation ${id}.`)
}
