import { z } from 'zod'
import { authorize } from '../../domain/authorize.js'
import { SandlabError } from '../../domain/error.js'
import { operationSchema, type Operation } from '../../domain/operation.js'
import {
  addFromConfigSchema,
  attachStorageSchema,
  orphanSchema,
  type AddFromConfig,
  type AttachStorage,
} from '../../domain/storage.js'
import type { AttachRights } from '../../disks/orphans/attach-prepare.js'
import { parseNodeConfig } from '../../disks/orphans/config-yaml.js'
import { ownedBy } from '../node-access.js'
import { route, type RouteContext } from '../route.js'
import { labOf } from '../services.js'
import { actorOf, nodeFor, nodeParams, refuseForeignOwner } from './nodes.js'

const operationAnswer = z.object({ operation: operationSchema })
type AttachContext = RouteContext<unknown, unknown, AttachStorage>
type AddContext = RouteContext<unknown, unknown, AddFromConfig>

const ATTACH_ERRORS = [
  'storage_not_found',
  'storage_in_use',
  'path_not_allowed',
  'hostile_header',
  'chain_broken',
  'base_missing',
  'config_mismatch',
  'bad_node_config',
  'name_taken',
  'quota_reached',
  'no_space',
  'not_allowed',
  'busy',
] as const

export const orphanRoutes = [
  route({
    method: 'get',
    path: '/api/storage/orphans',
    tag: 'Storage',
    summary: 'Disk files that no record names and nothing in use stands on; nothing is ever deleted by itself',
    access: 'storage.read',
    answer: { status: 200, schema: z.object({ orphans: z.array(orphanSchema), totalBytes: z.number() }) },
    handle: async ({ services }) => labOf(services).disks.orphans.list(),
  }),
  route({
    method: 'post',
    path: '/api/storage/attach',
    tag: 'Storage',
    summary: 'Make a node of a disk: the former one with the record beside it, else the one that the config describes',
    access: 'storage.read',
    body: attachStorageSchema,
    answer: { status: 202, schema: operationAnswer },
    errors: ATTACH_ERRORS,
    audit: 'node.attach',
    async plan(context) {
      const { request, rights } = await admitted(context)
      return labOf(context.services).disks.orphans.planAttach(request, actorOf(context), rights)
    },
    async handle(context) {
      const { path, name } = context.body
      context.about({ type: 'disk', id: path.slice(0, 300), ...(name !== undefined && { name }) })
      const earlier = earlierOf(context) // its disk is no orphan any more
      if (earlier) return { operation: earlier }
      const { request, rights } = await admitted(context)
      const operation = await labOf(context.services).disks.orphans.attach(request, actorOf(context), rights)
      tell(context, operation, { path })
      return { operation }
    },
  }),
  route({
    method: 'post',
    path: '/api/storage/discard',
    tag: 'Storage',
    summary: 'Move a disk that no record names to the trash',
    access: 'storage.manage',
    body: z.strictObject({ path: z.string().min(1).max(4096) }).meta({ id: 'DiscardStorage' }),
    answer: { status: 202, schema: operationAnswer },
    errors: ['storage_not_found', 'storage_in_use', 'path_not_allowed', 'busy'],
    audit: 'storage.discard',
    plan: async (context) => labOf(context.services).disks.orphans.planDiscard(context.body.path, actorOf(context)),
    async handle(context) {
      const { path } = context.body
      context.about({ type: 'disk', id: path.slice(0, 300) })
      return { operation: await labOf(context.services).disks.orphans.discard(path, actorOf(context)) }
    },
  }),
  route({
    method: 'get',
    path: '/api/nodes/{id}/config',
    tag: 'Nodes',
    summary: 'A node as YAML, which attach and from-config take again; without passwords',
    access: 'signed-in',
    params: nodeParams,
    answer: { status: 200, contentType: 'application/yaml' },
    errors: ['not_found'],
    async handle(context) {
      const { id } = nodeFor(context, 'node.read')
      const bytes = labOf(context.services).disks.orphans.configOf(id)
      return { contentType: 'application/yaml; charset=utf-8', bytes }
    },
  }),
  route({
    method: 'post',
    path: '/api/nodes/from-config',
    tag: 'Nodes',
    summary: 'Create a node as its YAML says: over its image, or over the orphan that it names',
    access: 'node.create',
    body: addFromConfigSchema,
    answer: { status: 202, schema: operationAnswer },
    errors: [...ATTACH_ERRORS, 'not_found', 'disk_too_small'],
    audit: 'node.create',
    async plan(context) {
      const rights = await admittedToAdd(context)
      return labOf(context.services).disks.orphans.planAdd(context.body, actorOf(context), rights)
    },
    async handle(context) {
      const { name } = context.body
      context.about({ type: 'node', id: '', ...(name !== undefined && { name }) })
      const earlier = earlierOf(context)
      if (earlier) return { operation: earlier }
      const rights = await admittedToAdd(context)
      const operation = await labOf(context.services).disks.orphans.add(context.body, actorOf(context), rights)
      tell(context, operation, {})
      return { operation }
    },
  }),
]

function tell(
  { about }: Pick<AttachContext, 'about'>,
  { id, target, items }: Operation,
  details: Record<string, unknown>,
): void {
  about({ type: 'node', id: target?.id ?? '', name: items[0]?.name ?? '', details: { ...details, operation: id } })
}

/** What this very request has begun before, also before a restart. */
function earlierOf(context: Pick<AttachContext, 'services' | 'subject' | 'asked'>): Operation | undefined {
  return labOf(context.services).transactions.earlier(actorOf(context))?.operation
}

/** Administrators attach any disk, instructors those that were their students'; nobody for a stranger. */
async function admitted(context: AttachContext): Promise<{ request: AttachStorage; rights: AttachRights }> {
  const { body } = context
  const ownerId = await refuseForeignDisk(context, body.path, body.ownerId)
  return { request: { ...body, ...(ownerId && { ownerId }) }, rights: rightsOf(context, ownerId) }
}

async function admittedToAdd(context: AddContext): Promise<AttachRights> {
  const { services, subject, body } = context
  const file = parseNodeConfig(body.config).root?.file
  const isOrphan = file !== undefined && (await labOf(services).disks.orphans.find(file)) !== undefined
  if (isOrphan) await refuseForeignDisk(context, file, body.ownerId)
  else refuseForeignOwner({ services, subject, body: { ownerId: body.ownerId, internet: false } })
  return rightsOf(context, body.ownerId)
}

/** Answers with whose the node will be; undefined: the one's who asks. */
async function refuseForeignDisk(
  { services, subject }: Pick<AttachContext, 'services' | 'subject'>,
  path: string,
  wanted: AttachStorage['ownerId'],
): Promise<AttachStorage['ownerId']> {
  const former = (await labOf(services).disks.orphans.find(path))?.former.ownerId ?? undefined
  if (!authorize(subject, 'storage.manage')) {
    const isTheirs = former !== undefined && authorize(subject, 'node.createForOthers', ownedBy(services, former))
    if (!isTheirs) {
      throw new SandlabError('not_allowed', 'You may attach disks of your own former nodes and those of students.', {
        hint: 'Ask an administrator to attach this one.',
      })
    }
  }
  const ownerId = wanted ?? (former !== undefined && services.directory.get(former) ? former : undefined)
  refuseForeignOwner({ services, subject, body: { ownerId, internet: false } })
  return ownerId
}

function rightsOf(
  { services, subject }: Pick<AttachContext, 'services' | 'subject'>,
  ownerId: AttachStorage['ownerId'],
): AttachRights {
  const isManager = authorize(subject, 'storage.manage')
  return {
    paths: { folders: isManager ? services.config.importFolders : [], any: subject.credentialId === 'local' },
    internet: authorize(subject, 'node.allowInternet', ownedBy(services, ownerId ?? subject.userId)),
  }
}
