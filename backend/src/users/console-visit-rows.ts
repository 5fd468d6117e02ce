import type { Kysely, Selectable } from 'kysely'
import { z } from 'zod'
import { consoleVisitSchema, type ConsoleVisit } from '../domain/console-history.js'
import { isUuid, storableText } from './text.js'
import type { ConsoleVisitsTable, Tables } from './tables.js'

const MAX_TEXT = 300

/** One line of the spool. In order: a process begins, its consoles open and close, the next process begins. */
export const visitEventSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('visit'),
    row: z.strictObject({
      id: z.uuid(),
      run_id: z.uuid(),
      node_id: z.string(),
      node_name: z.string(),
      user_id: z.string(),
      login: z.string(),
      kind: z.string(),
      engine: z.string(),
      mode: z.string(),
      address: z.string(),
      recorded: z.boolean(),
      opened_at: z.iso.datetime(),
      closed_at: z.iso.datetime().nullable(),
      ended: z.enum(['closed', 'lost']).nullable(),
    }),
  }),
  /** What processes before this one have left open has ended when the last of them was known to live. */
  z.strictObject({ type: z.literal('began'), runId: z.uuid(), aliveUntil: z.iso.datetime().nullable() }),
])
export type VisitEvent = z.infer<typeof visitEventSchema>

export type NewVisit = Omit<ConsoleVisit, 'address' | 'closedAt' | 'ended'> & { address: string }

/** Texts are cut and made storable. */
export function visitEventOf(visit: NewVisit, runId: string, closedAt: Date | null): VisitEvent {
  return {
    type: 'visit',
    row: {
      id: visit.id,
      run_id: runId,
      node_id: visit.nodeId,
      node_name: storableText(visit.nodeName, MAX_TEXT),
      user_id: visit.userId,
      login: storableText(visit.login, MAX_TEXT),
      kind: visit.kind,
      engine: visit.engine,
      mode: visit.mode,
      address: storableText(visit.address, MAX_TEXT),
      recorded: visit.recorded,
      opened_at: visit.openedAt,
      closed_at: closedAt?.toISOString() ?? null,
      ended: closedAt ? 'closed' : null,
    },
  }
}

/** In order. Any of them may be there already: a replay changes nothing, and what is closed stays closed. */
export async function writeVisitEvents(sql: Kysely<Tables>, events: VisitEvent[]): Promise<void> {
  for (const event of events) {
    if (event.type === 'visit') await upsertVisit(sql, event.row)
    else await closeLeftOpen(sql, event.runId, event.aliveUntil)
  }
}

async function upsertVisit(sql: Kysely<Tables>, row: (VisitEvent & { type: 'visit' })['row']): Promise<void> {
  const { opened_at, closed_at, ...texts } = row
  const values = {
    ...texts,
    opened_at: new Date(opened_at),
    closed_at: closed_at === null ? null : new Date(closed_at),
  }
  await sql
    .insertInto('console_visits')
    .values(values)
    .onConflict((conflict) =>
      conflict
        .column('id')
        .doUpdateSet({ closed_at: values.closed_at, ended: values.ended, recorded: values.recorded })
        .where('console_visits.closed_at', 'is', null),
    )
    .execute()
}

async function closeLeftOpen(sql: Kysely<Tables>, runId: string, aliveUntil: string | null): Promise<void> {
  const until = aliveUntil === null ? undefined : new Date(aliveUntil)
  await sql
    .updateTable('console_visits')
    .set((row) => ({
      closed_at:
        until === undefined ? row.ref('opened_at') : row.fn<Date>('greatest', [row.ref('opened_at'), row.val(until)]),
      ended: 'lost' as const,
    }))
    .where('closed_at', 'is', null)
    .where('run_id', '<>', runId)
    .execute()
}

/** Newest first, one more than `limit` where there are more. A cursor is a moment and an id. */
export async function readVisits(
  sql: Kysely<Tables>,
  nodeId: string,
  limit: number,
  before: { openedAt: Date; id: string } | undefined,
): Promise<ConsoleVisit[]> {
  let query = sql
    .selectFrom('console_visits')
    .selectAll()
    .where('node_id', '=', nodeId)
    .orderBy('opened_at', 'desc')
    .orderBy('id', 'desc')
    .limit(limit + 1)
  if (before) {
    const { openedAt, id } = before
    query = query.where((row) =>
      row.or([row('opened_at', '<', openedAt), row.and([row('opened_at', '=', openedAt), row('id', '<', id)])]),
    )
  }
  return (await query.execute()).map(visitOf)
}

function visitOf(row: Selectable<ConsoleVisitsTable>): ConsoleVisit {
  return consoleVisitSchema.parse({
    id: row.id,
    nodeId: row.node_id,
    nodeName: row.node_name,
    userId: row.user_id,
    login: row.login,
    kind: row.kind,
    engine: row.engine,
    mode: row.mode,
    address: row.address,
    recorded: row.recorded,
    openedAt: row.opened_at.toISOString(),
    closedAt: row.closed_at?.toISOString() ?? null,
    ended: row.ended,
  })
}

export const cursorOf = ({ openedAt, id }: ConsoleVisit): string => `${Date.parse(openedAt)}_${id}`

/** Undefined when it is none of ours. */
export function parseCursor(text: string): { openedAt: Date; id: string } | undefined {
  const [at = '', id = ''] = text.split('_')
  if (!/^\d{1,15}$/.test(at) || !isUuid(id)) return undefined
  return { openedAt: new Date(Number(at)), id }
}
