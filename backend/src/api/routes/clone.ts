import { z } from 'zod'
import { authorize } from '../../domain/authorize.js'
import { layerSchema } from '../../domain/layer.js'
import { cloneNodeSchema, type CloneNode, type NodeRecord } from '../../domain/node.js'
import { operationSchema, type Operation } from '../../domain/operation.js'
import type { CloneRights } from '../../nodes/clone-prepare.js'
import { ownedBy } from '../node-access.js'
import { route, type RouteContext } from '../route.js'
import { labOf } from '../services.js'
import { actorOf, nodeFor, nodeParams, refuseForeignOwner } from './nodes.js'

type CloneContext = RouteContext<z.infer<typeof nodeParams>, unknown, CloneNode>

/** Names that the audit log takes down; the operation has them all. */
const AUDITED_NAMES = 50

export const cloneRoutes = [
  route({
    method: 'post',
    path: '/api/nodes/{id}/clone',
    tag: 'Nodes',
    summary: 'Clone a node, running or not: linked at once, or full with a disk of its own',
    access: 'node.create',
    params: nodeParams,
    body: cloneNodeSchema,
    answer: { status: 202, schema: z.object({ operation: operationSchema }) },
    errors: [
      'not_found',
      'name_taken',
      'wrong_status',
      'quota_reached',
      'no_space',
      'not_allowed',
      'unsupported',
      'bad_request',
    ],
    audit: 'node.clone',
    async plan(context) {
      const { source, rights } = admitted(context)
      return labOf(context.services).disks.clones.plan(source.id, context.body, actorOf(context), rights)
    },
    async handle(context) {
      const { source, rights } = admitted(context)
      const { disks } = labOf(context.services)
      if (context.body.to) return send(context, source)
      const { name, count, full, snapshot, snapshotFirst, start, idempotent, force } = context.body
      const asked = { to: name, count, full, snapshot, snapshotFirst, start, idempotent, force }
      context.about({ type: 'node', id: source.id, name: source.name, details: asked })
      const begun = await disks.clones.clone(source.id, context.body, actorOf(context), rights)
      const { operation, warnings } = begun
      const replaced = begun.replaced.map(({ id, name: old }) => ({ id, name: old }))
      const clones = operation.items.slice(0, AUDITED_NAMES).map(({ id, name: clone }) => ({ id, name: clone }))
      const details = { ...asked, operation: operation.id, clones, replaced, warnings }
      context.about({ type: 'node', id: source.id, name: source.name, details })
      return { operation }
    },
  }),
  route({
    method: 'get',
    path: '/api/nodes/{id}/layers',
    tag: 'Nodes',
    summary: 'Snapshots of a node, and what its disk stands on; newest first',
    access: 'signed-in',
    params: nodeParams,
    answer: { status: 200, schema: z.object({ layers: z.array(layerSchema) }) },
    errors: ['not_found'],
    handle: async (context) => ({ layers: labOf(context.services).nodes.layers(nodeFor(context, 'node.read').id) }),
  }),
]

/** To another SandLabX: what it replaces there is in the audit log there. The token is nobody's business. */
async function send(context: CloneContext, source: NodeRecord): Promise<{ operation: Operation }> {
  const { name, snapshot, start, idempotent, force, to } = context.body
  const asked = { to: name, host: new URL(to?.url ?? '').host, snapshot, start, idempotent, force }
  context.about({ type: 'node', id: source.id, name: source.name, details: asked })
  const rights = { internet: false } // over there that is decided by the account of the token
  const { operation } = await labOf(context.services).disks.clones.clone(
    source.id,
    context.body,
    actorOf(context),
    rights,
  )
  context.about({ type: 'node', id: source.id, name: source.name, details: { ...asked, operation: operation.id } })
  return { operation }
}

/** Whoever may read a node and make one for that person may clone it; a way to the internet is not inherited by itself. */
function admitted(context: CloneContext): { source: NodeRecord; rights: CloneRights } {
  const { services, subject, body } = context
  const source = nodeFor(context, body.to ? 'node.transfer' : 'node.read')
  const ownerId = body.ownerId ?? source.ownerId
  refuseForeignOwner({ services, subject, body: { ownerId, internet: false } })
  return { source, rights: { internet: authorize(subject, 'node.allowInternet', ownedBy(services, ownerId)) } }
}
