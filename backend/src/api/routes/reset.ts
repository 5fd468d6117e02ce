import { z } from 'zod'
import { authorize } from '../../domain/authorize.js'
import { SandlabError } from '../../domain/error.js'
import type { NodeRecord } from '../../domain/node.js'
import { operationSchema } from '../../domain/operation.js'
import { resetNodesSchema } from '../../domain/trash.js'
import { accessNode, ownedBy } from '../node-access.js'
import { route, type RouteContext } from '../route.js'
import { labOf } from '../services.js'
import { actorOf, nodeFor, nodeParams } from './nodes.js'

/** Names that the audit log takes down; the operation has them all. */
const AUDITED_NAMES = 50
/** Nodes that are reset with one request. */
const AT_MOST = 500

const ERRORS = [
  'not_found',
  'not_allowed',
  'bad_request',
  'wrong_status',
  'busy',
  'base_missing',
  'storage_not_found',
  'no_space',
] as const

const resetNodeSchema = resetNodesSchema.pick({ snapshot: true, now: true }).meta({ id: 'ResetNode' })
const answer = { status: 202, schema: z.object({ operation: operationSchema }) } as const
type Selecting = RouteContext<unknown, unknown, z.infer<typeof resetNodesSchema>>

export const resetRoutes = [
  route({
    method: 'post',
    path: '/api/nodes/{id}/reset',
    tag: 'Nodes',
    summary: 'A fresh disk over the base image or a snapshot; what it had moves to the trash',
    access: 'signed-in',
    params: nodeParams,
    body: resetNodeSchema,
    answer,
    errors: ERRORS,
    audit: 'node.reset',
    async plan(context) {
      const { id } = nodeFor(context, 'node.reset')
      return labOf(context.services).disks.reset.plan([id], { ...context.body, keepGoing: false })
    },
    async handle(context) {
      const { id, name } = nodeFor(context, 'node.reset')
      const { body, services } = context
      context.about({ type: 'node', id, name, details: body })
      const request = { ...body, keepGoing: false }
      const operation = await labOf(services).disks.reset.begin([id], request, actorOf(context))
      context.about({ type: 'node', id, name, details: { ...body, operation: operation.id } })
      return { operation }
    },
  }),
  route({
    method: 'post',
    path: '/api/reset',
    tag: 'Nodes',
    summary: 'Reset many nodes: all or none, or with `keepGoing` each by itself; one undo for all',
    access: 'signed-in',
    body: resetNodesSchema,
    answer,
    errors: ERRORS,
    audit: 'node.reset',
    async plan(context) {
      const ids = selected(context).map(({ id }) => id)
      return labOf(context.services).disks.reset.plan(ids, context.body)
    },
    async handle(context) {
      const { snapshot, now, keepGoing } = context.body
      const records = selected(context)
      const nodes = records.slice(0, AUDITED_NAMES).map(({ id, name }) => ({ id, name }))
      const details = { count: records.length, nodes, snapshot, now, keepGoing }
      context.about({ type: 'node', id: '', name: `${records.length} nodes`, details })
      const ids = records.map(({ id }) => id)
      const operation = await labOf(context.services).disks.reset.begin(ids, context.body, actorOf(context))
      context.about({
        type: 'node',
        id: '',
        name: `${records.length} nodes`,
        details: { ...details, operation: operation.id },
      })
      return { operation }
    },
  }),
]

/** The nodes that a request means, of those that this person may reset. Throws `bad_request`, `not_found`, `not_allowed`. */
function selected({ services, subject, body }: Selecting): NodeRecord[] {
  const { nodeIds, ownerId, all, name } = body
  if ([nodeIds, ownerId, all, name].filter((way) => way !== undefined).length !== 1) {
    throw new SandlabError('bad_request', 'A reset needs exactly one way to say which nodes.', {
      hint: 'Give nodeIds, ownerId, name, or all.',
    })
  }
  const records = nodeIds
    ? [...new Set(nodeIds)].map((id) => accessNode(services, subject, id, 'node.reset'))
    : labOf(services)
        .store.data.nodes.filter((node) => authorize(subject, 'node.reset', ownedBy(services, node.ownerId)))
        .filter((node) => ownerId === undefined || node.ownerId === ownerId)
        .filter((node) => name === undefined || patternOf(name).test(node.name))
  if (records.length === 0) {
    throw new SandlabError('not_found', 'There is no such node that you may reset. Nothing was changed.')
  }
  if (records.length > AT_MOST) {
    throw new SandlabError('bad_request', `${records.length} nodes are too many for one reset.`, {
      hint: `Reset at most ${AT_MOST} at once, for example one owner's.`,
    })
  }
  return records
}

/** `*` for any letters; all else as it is. */
function patternOf(name: string): RegExp {
  const parts = name.split(/\*+/).map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`))
  return new RegExp(`^${parts.join('.*')}$`)
}
