import { z } from 'zod'

/** What the server tells a page over socket.io: something changed, ask again if you care. Consoles never go here. */
export const TOPICS = ['nodes', 'images', 'operations', 'users', 'audit', 'health', 'storage'] as const
export type Topic = (typeof TOPICS)[number]

/** `revision` grows with each event of this process; `data` is the fresh view of the object, null when it is gone. */
export interface LiveEvent {
  topic: Topic
  id: string
  revision: number
  data: unknown
}

/** A line in a node's history. Kept with the node, the newest 100. */
export const nodeEventSchema = z
  .object({
    at: z.iso.datetime(),
    kind: z.enum([
      'created',
      'started',
      'stopped',
      'crashed',
      'adopted',
      'changed',
      'warning',
      'broken',
      'paused',
      'suspended',
    ]),
    text: z.string().max(2000),
    actorLogin: z.string().nullable(),
  })
  .meta({ id: 'NodeEvent' })
export type NodeEvent = z.infer<typeof nodeEventSchema>

export const auditEntrySchema = z
  .object({
    id: z.string(),
    at: z.iso.datetime(),
    actorId: z.string().nullable(),
    actorLogin: z.string(),
    action: z.string(),
    objectType: z.string().nullable(),
    objectId: z.string().nullable(),
    objectName: z.string().nullable(),
    /** Where the request came from: the peer's address, or `system`. */
    address: z.string(),
    result: z.enum(['success', 'failure']),
    /** The error's code, when it failed. */
    code: z.string().nullable(),
    requestId: z.string().nullable(),
    details: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'AuditEntry' })
export type AuditEntry = z.infer<typeof auditEntrySchema>
