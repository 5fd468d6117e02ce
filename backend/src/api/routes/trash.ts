import { z } from 'zod'
import { authorize, type Action } from '../../domain/authorize.js'
import { SandlabError } from '../../domain/error.js'
import { operationIdSchema } from '../../domain/ids.js'
import { operationSchema, type Operation } from '../../domain/operation.js'
import { snapshotNameSchema } from '../../domain/snapshot.js'
import { trashEntrySchema, trashViewSchema, type TrashEntry } from '../../domain/trash.js'
import { ownedBy } from '../node-access.js'
import { route, type RouteContext } from '../route.js'
import { labOf, type Services } from '../services.js'
import { actorOf } from './nodes.js'
import { readable } from './operations.js'

const DAY_MS = 24 * 3600 * 1000

const params = z.object({ id: trashEntrySchema.shape.id })
const operationAnswer = { status: 202, schema: z.object({ operation: operationSchema }) } as const
const restoreSchema = z
  .strictObject({
    /** Instead of its former name, when that is taken by now. */
    name: snapshotNameSchema.optional(),
  })
  .meta({ id: 'RestoreTrash' })
const purgeSchema = z
  .strictObject({
    /** Only what was removed longer ago. Absent: all. */
    olderThanDays: z.number().min(0).max(3650).optional(),
  })
  .meta({ id: 'PurgeTrash' })

const RESTORE_ERRORS = [
  'not_found',
  'not_allowed',
  'name_taken',
  'storage_not_found',
  'storage_in_use',
  'base_missing',
  'chain_broken',
  'drive_exists',
  'quota_reached',
  'unsupported',
  'wrong_status',
  'busy',
] as const

type Asking = Pick<RouteContext<unknown, unknown, unknown>, 'services' | 'subject'>
type EntryContext = Asking & Pick<RouteContext<z.infer<typeof params>, unknown, unknown>, 'params' | 'about'>

export const trashRoutes = [
  route({
    method: 'get',
    path: '/api/trash',
    tag: 'Trash',
    summary: 'What was removed and can be brought back, newest first',
    access: 'trash.list',
    answer: {
      status: 200,
      schema: z.object({
        entries: z.array(trashViewSchema),
        /** Days after which it is removed for good; null: never by itself. */
        retentionDays: z.int().nullable(),
        totalBytes: z.number(),
      }),
    },
    async handle(context) {
      const { trash, settings } = labOf(context.services).disks
      const visible = (await trash.list()).filter((entry) => may(context, entry, 'trash.restore'))
      const actor = { id: context.subject.userId, login: context.subject.login }
      const entries = await Promise.all(visible.map((entry) => trash.view(entry, actor)))
      const totalBytes = entries.reduce((sum, { usedBytes }) => sum + usedBytes, 0)
      return { entries, retentionDays: settings.get().trashDays, totalBytes }
    },
  }),
  route({
    method: 'post',
    path: '/api/trash/{id}/restore',
    tag: 'Trash',
    summary: 'Bring it back, with its records',
    access: 'signed-in',
    params,
    body: restoreSchema,
    answer: operationAnswer,
    errors: RESTORE_ERRORS,
    audit: 'trash.restore',
    async plan(context) {
      const entry = await entryFor(context, 'trash.restore')
      return labOf(context.services).disks.trash.planRestore(entry, actorOf(context), context.body.name)
    },
    async handle(context) {
      const again = earlier(context)
      if (again) return { operation: again }
      const entry = await entryFor(context, 'trash.restore')
      const { name } = context.body
      const operation = await labOf(context.services).disks.trash.restore(entry, actorOf(context), name)
      context.about({ type: 'trash', id: entry.id, name: entry.title, details: { name, operation: operation.id } })
      return { operation }
    },
  }),
  route({
    method: 'delete',
    path: '/api/trash/{id}',
    tag: 'Trash',
    summary: 'Remove it for good',
    access: 'signed-in',
    params,
    answer: { status: 204 },
    errors: ['not_found', 'not_allowed', 'busy'],
    audit: 'trash.purge',
    async plan(context) {
      const entry = await entryFor(context, 'trash.purge')
      return labOf(context.services).disks.trash.planPurge([entry])
    },
    async handle(context) {
      await labOf(context.services).disks.trash.purge(await entryFor(context, 'trash.purge'))
    },
  }),
  route({
    method: 'post',
    path: '/api/trash/purge',
    tag: 'Trash',
    summary: 'Remove for good all that I may, or what is older',
    access: 'signed-in',
    body: purgeSchema,
    answer: operationAnswer,
    errors: ['not_allowed'],
    audit: 'trash.purge',
    async plan(context) {
      return labOf(context.services).disks.trash.planPurge(await purgeable(context, context.body.olderThanDays))
    },
    async handle(context) {
      const { olderThanDays } = context.body
      const entries = await purgeable(context, olderThanDays)
      const details = { olderThanDays, count: entries.length, titles: entries.slice(0, 50).map(({ title }) => title) }
      context.about({ type: 'trash', id: '', name: `${entries.length} things`, details })
      return { operation: labOf(context.services).disks.trash.purgeMany(entries, actorOf(context)) }
    },
  }),
  route({
    method: 'post',
    path: '/api/operations/{id}/undo',
    tag: 'Operations',
    summary: 'Bring back all that it moved to the trash: all of it or nothing',
    access: 'signed-in',
    params: z.object({ id: operationIdSchema }),
    answer: operationAnswer,
    errors: RESTORE_ERRORS,
    audit: 'operation.undo',
    async plan(context) {
      const operation = readable(context.services, context.subject, context.params.id)
      const entries = await undoable(context, operation)
      return labOf(context.services).disks.trash.planUndo(operation, entries, actorOf(context))
    },
    async handle(context) {
      const { services, subject, params } = context
      context.about({ type: 'operation', id: params.id })
      const undone = readable(services, subject, params.id)
      context.about({ type: 'operation', id: undone.id, name: undone.title })
      const again = earlier(context)
      if (again) return { operation: again }
      const entries = await undoable(context, undone)
      const operation = await labOf(services).disks.trash.undo(undone, entries, actorOf(context))
      const details = { operation: operation.id, entries: entries.slice(0, 50).map(({ title }) => title) }
      context.about({ type: 'operation', id: undone.id, name: undone.title, details })
      return { operation }
    },
  }),
]

/** A repeated request finds its entry gone from the trash: it is answered with what it began. */
function earlier(context: Parameters<typeof actorOf>[0] & { services: Services }): Operation | undefined {
  return labOf(context.services).transactions.earlier(actorOf(context))?.operation
}

/** What belongs to nobody is for administrators. */
function may({ services, subject }: Asking, { ownerId }: TrashEntry, action: Action): boolean {
  if (ownerId === null) return subject.role === 'administrator'
  return authorize(subject, action, ownedBy(services, ownerId))
}

/** A foreign entry answers like an absent one. */
async function entryFor(context: EntryContext, action: Action): Promise<TrashEntry> {
  const { id } = context.params
  context.about({ type: 'trash', id })
  const entry = await labOf(context.services).disks.trash.entry(id)
  if (!may(context, entry, 'trash.restore')) throw new SandlabError('not_found', `There is no ${id} in the trash.`)
  context.about({ type: 'trash', id, name: entry.title })
  if (!may(context, entry, action)) throw new SandlabError('not_allowed', `You may not do this to ${entry.title}.`)
  return entry
}

async function purgeable(context: Asking, olderThanDays: number | undefined): Promise<TrashEntry[]> {
  const { trash } = labOf(context.services).disks
  const before = Date.now() - (olderThanDays ?? 0) * DAY_MS
  return (await trash.list())
    .filter((entry) => may(context, entry, 'trash.purge'))
    .filter(({ at }) => olderThanDays === undefined || Date.parse(at) <= before)
}

async function undoable(context: Asking, operation: Operation): Promise<TrashEntry[]> {
  const entries = await labOf(context.services).disks.trash.movedBy(operation)
  if (entries.every((entry) => may(context, entry, 'trash.restore'))) return entries
  throw new SandlabError('not_allowed', `You may not bring back all that "${operation.title}" removed.`, {
    hint: 'Ask an instructor.',
  })
}
