import { z } from 'zod'
import { authorize } from '../../domain/authorize.js'
import { SandlabError } from '../../domain/error.js'
import { nodeEventSchema } from '../../domain/event.js'
import { nodeIdSchema } from '../../domain/ids.js'
import {
  createNodeSchema,
  discardMemorySchema,
  nodeViewSchema,
  stopNodeSchema,
  suspendNodeSchema,
  updateNodeSchema,
} from '../../domain/node.js'
import { toSandlabError } from '../errors.js'
import { accessNode, ownedBy } from '../node-access.js'
import { route, type RouteContext } from '../route.js'
import { labOf } from '../services.js'
import type { Action } from '../../domain/authorize.js'
import type { CreateNode, NodeRecord } from '../../domain/node.js'
import type { Actor } from '../../nodes/context.js'

export const nodeParams = z.object({ id: nodeIdSchema })
type NodeContext = Pick<
  RouteContext<z.infer<typeof nodeParams>, unknown, unknown>,
  'services' | 'subject' | 'params' | 'about' | 'asked'
>
const nodeAnswer = z.object({ node: nodeViewSchema })

/** Loads, authorizes and names the node for the audit log. */
export function nodeFor(context: NodeContext, action: Action): NodeRecord {
  context.about({ type: 'node', id: context.params.id })
  const record = accessNode(context.services, context.subject, context.params.id, action)
  context.about({ type: 'node', id: record.id, name: record.name })
  return record
}

export const actorOf = ({ subject, asked }: Pick<NodeContext, 'subject' | 'asked'>): Actor => ({
  id: subject.userId,
  login: subject.login,
  request: asked,
})

const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((said) => said === 'true')
const deleteQuery = z.strictObject({ deleteStorage: flag, keepSnapshots: flag })

export const nodeRoutes = [
  route({
    method: 'get',
    path: '/api/nodes',
    tag: 'Nodes',
    summary: 'The nodes that I may see',
    access: 'node.list',
    answer: { status: 200, schema: z.object({ nodes: z.array(nodeViewSchema) }) },
    async handle({ services, subject }) {
      const nodes = labOf(services).nodes.list()
      return { nodes: nodes.filter((node) => authorize(subject, 'node.read', ownedBy(services, node.ownerId))) }
    },
  }),
  route({
    method: 'post',
    path: '/api/nodes',
    tag: 'Nodes',
    summary: 'Create a node over a base image',
    access: 'node.create',
    body: createNodeSchema,
    answer: {
      status: 201,
      schema: z.object({
        node: nodeViewSchema,
        guestPassword: z.string().nullable().meta({ description: 'Generated for the guest, shown this once.' }),
        startError: z
          .object({ code: z.string(), message: z.string(), hint: z.string().optional() })
          .nullable()
          .meta({ description: 'Why it was made but could not be started.' }),
      }),
    },
    errors: ['not_found', 'name_taken', 'disk_too_small', 'quota_reached', 'no_space', 'no_capacity'],
    audit: 'node.create',
    async plan(context) {
      refuseForeignOwner(context)
      return labOf(context.services).nodes.planCreate([context.body], actorOf(context))
    },
    async handle(context) {
      const { services, body } = context
      context.about({ type: 'node', id: '', name: body.name, details: { image: body.image } })
      refuseForeignOwner(context)
      const actor = actorOf(context)
      const { nodes } = labOf(services)
      const made = await nodes.create(body, actor)
      context.about({ type: 'node', id: made.node.id, name: made.node.name, details: { image: body.image } })
      if (!body.start) return { ...made, startError: null }
      try {
        return { ...made, node: await nodes.start(made.node.id, actor), startError: null }
      } catch (error) {
        // It exists, and its guest's password is told only here: the answer is 201 all the same.
        const { code, message, hint } = toSandlabError(error)
        return {
          ...made,
          node: nodes.get(made.node.id),
          startError: { code, message, ...(hint === undefined ? {} : { hint }) },
        }
      }
    },
  }),
  route({
    method: 'get',
    path: '/api/nodes/{id}',
    tag: 'Nodes',
    summary: 'One node',
    access: 'signed-in',
    params: nodeParams,
    answer: { status: 200, schema: nodeAnswer },
    errors: ['not_found'],
    handle: async (context) => ({ node: labOf(context.services).nodes.get(nodeFor(context, 'node.read').id) }),
  }),
  route({
    method: 'patch',
    path: '/api/nodes/{id}',
    tag: 'Nodes',
    summary: 'Rename; change CPUs and memory when stopped; allow the internet',
    access: 'signed-in',
    params: nodeParams,
    body: updateNodeSchema,
    answer: { status: 200, schema: nodeAnswer },
    errors: ['not_found', 'name_taken', 'wrong_status', 'busy', 'not_allowed'],
    audit: 'node.update',
    async handle(context) {
      const record = nodeFor(context, 'node.update')
      if (context.body.internet === true) nodeFor(context, 'node.allowInternet')
      if (context.body.recording !== undefined) nodeFor(context, 'node.record')
      context.about({ type: 'node', id: record.id, name: record.name, details: context.body })
      const { nodes, consoles } = labOf(context.services)
      const node = await nodes.update(record.id, context.body, actorOf(context))
      if (context.body.recording !== undefined) consoles.recordingSwitched()
      return { node }
    },
  }),
  route({
    method: 'delete',
    path: '/api/nodes/{id}',
    tag: 'Nodes',
    summary: 'Delete; the storage is kept unless asked, then it moves to the trash, with its snapshots unless asked',
    access: 'signed-in',
    params: nodeParams,
    query: deleteQuery,
    answer: { status: 204 },
    errors: ['not_found', 'wrong_status', 'busy'],
    audit: 'node.delete',
    async plan(context) {
      const { id } = nodeFor(context, 'node.delete')
      return labOf(context.services).nodes.planRemoval(id, context.query)
    },
    async handle(context) {
      const record = nodeFor(context, 'node.delete')
      const { deleteStorage, keepSnapshots } = context.query
      context.about({ type: 'node', id: record.id, name: record.name, details: { deleteStorage, keepSnapshots } })
      await labOf(context.services).nodes.delete(record.id, deleteStorage, actorOf(context), keepSnapshots)
      labOf(context.services).consoles.closeForNode(record.id)
    },
  }),
  route({
    method: 'post',
    path: '/api/nodes/{id}/start',
    tag: 'Nodes',
    summary: 'Start; done when the guest runs',
    access: 'signed-in',
    params: nodeParams,
    answer: { status: 200, schema: nodeAnswer },
    errors: ['not_found', 'wrong_status', 'busy', 'no_capacity', 'node_broken', 'engine_failed'],
    audit: 'node.start',
    handle: async (context) => ({
      node: await labOf(context.services).nodes.start(nodeFor(context, 'node.power').id, actorOf(context)),
    }),
  }),
  route({
    method: 'post',
    path: '/api/nodes/{id}/stop',
    tag: 'Nodes',
    summary: 'Stop: guest shutdown, then harder; at once with `now`',
    access: 'signed-in',
    params: nodeParams,
    body: stopNodeSchema,
    answer: { status: 200, schema: nodeAnswer },
    errors: ['not_found', 'wrong_status', 'busy', 'engine_failed'],
    audit: 'node.stop',
    async handle(context) {
      const record = nodeFor(context, 'node.power')
      context.about({ type: 'node', id: record.id, name: record.name, details: { now: context.body.now } })
      return { node: await labOf(context.services).nodes.stop(record.id, context.body.now, actorOf(context)) }
    },
  }),
  route({
    method: 'post',
    path: '/api/nodes/{id}/restart',
    tag: 'Nodes',
    summary: 'Press the reset button',
    access: 'signed-in',
    params: nodeParams,
    answer: { status: 200, schema: nodeAnswer },
    errors: ['not_found', 'wrong_status', 'busy', 'engine_failed'],
    audit: 'node.restart',
    handle: async (context) => ({
      node: await labOf(context.services).nodes.restart(nodeFor(context, 'node.power').id, actorOf(context)),
    }),
  }),
  route({
    method: 'post',
    path: '/api/nodes/{id}/suspend',
    tag: 'Nodes',
    summary: 'Save the memory and end the machine; the next start goes on from there',
    access: 'signed-in',
    params: nodeParams,
    body: suspendNodeSchema,
    answer: { status: 200, schema: nodeAnswer },
    errors: ['not_found', 'wrong_status', 'busy', 'no_space', 'unsupported', 'engine_failed'],
    audit: 'node.suspend',
    handle: async (context) => ({
      node: await labOf(context.services).nodes.suspend(
        nodeFor(context, 'node.power').id,
        context.body.resumeAtStart ? 'stop' : 'asked',
        actorOf(context),
      ),
    }),
  }),
  route({
    method: 'post',
    path: '/api/nodes/{id}/resume',
    tag: 'Nodes',
    summary: 'Let a suspended or paused node go on; it boots when its memory can not be used',
    access: 'signed-in',
    params: nodeParams,
    answer: { status: 200, schema: nodeAnswer },
    errors: ['not_found', 'wrong_status', 'busy', 'no_capacity', 'node_broken', 'engine_failed'],
    audit: 'node.resume',
    handle: async (context) => ({
      node: await labOf(context.services).nodes.resume(nodeFor(context, 'node.power').id, actorOf(context)),
    }),
  }),
  route({
    method: 'post',
    path: '/api/nodes/{id}/discard-memory',
    tag: 'Nodes',
    summary: 'Move the memory of a suspended node to the trash; with `start` it boots from its disk',
    access: 'signed-in',
    params: nodeParams,
    body: discardMemorySchema,
    answer: { status: 200, schema: nodeAnswer },
    errors: ['not_found', 'wrong_status', 'busy', 'no_capacity', 'node_broken', 'engine_failed'],
    audit: 'node.discardMemory',
    async handle(context) {
      const { id } = nodeFor(context, 'node.power')
      const { nodes } = labOf(context.services)
      const node = await nodes.discardMemory(id, actorOf(context))
      return { node: context.body.start ? await nodes.start(id, actorOf(context)) : node }
    },
  }),
  route({
    method: 'get',
    path: '/api/nodes/{id}/events',
    tag: 'Nodes',
    summary: 'What happened to it, newest first',
    access: 'signed-in',
    params: nodeParams,
    answer: { status: 200, schema: z.object({ events: z.array(nodeEventSchema) }) },
    errors: ['not_found'],
    handle: async (context) => ({ events: labOf(context.services).nodes.events(nodeFor(context, 'node.read').id) }),
  }),
]

/** Throws `not_allowed` for a node that this subject may not create for that owner, or not with the internet. */
export function refuseForeignOwner({
  services,
  subject,
  body,
}: Pick<RouteContext<unknown, unknown, Pick<CreateNode, 'ownerId' | 'internet'>>, 'services' | 'subject' | 'body'>) {
  const ownerId = body.ownerId ?? subject.userId
  if (ownerId !== subject.userId) {
    const owner = services.directory.get(ownerId)
    if (!owner || !authorize(subject, 'node.createForOthers', { ownerId, ownerRole: owner.role })) {
      throw new SandlabError('not_allowed', 'You may not create a node for this person.', {
        hint: 'Instructors create nodes for students, administrators for everybody.',
      })
    }
  }
  if (body.internet && !authorize(subject, 'node.allowInternet', ownedBy(services, ownerId))) {
    throw new SandlabError('not_allowed', 'You may not give a node access to the internet.', {
      hint: 'Ask an instructor to allow it.',
    })
  }
}
