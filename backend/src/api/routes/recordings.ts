import { z } from 'zod'
import { authorize } from '../../domain/authorize.js'
import { SandlabError } from '../../domain/error.js'
import { nodeIdSchema } from '../../domain/ids.js'
import {
  type Recording,
  recordingFormat,
  recordingIdSchema,
  recordingsAnswerSchema,
  recordingSchema,
} from '../../domain/recording.js'
import type { Subject } from '../../domain/user.js'
import { ownedBy } from '../node-access.js'
import { route, type FileAnswer } from '../route.js'
import { labOf, type Services } from '../services.js'
import { nodeFor, nodeParams } from './nodes.js'

const params = z.object({ id: recordingIdSchema })
const CONTENT_TYPES = { cast: 'application/x-asciicast', guac: 'application/octet-stream' } as const

export const recordingRoutes = [
  route({
    method: 'get',
    path: '/api/nodes/{id}/recordings',
    tag: 'Recordings',
    summary: 'When this node’s consoles were recorded; its owner may know, too',
    access: 'signed-in',
    params: nodeParams,
    answer: { status: 200, schema: recordingsAnswerSchema },
    errors: ['not_found'],
    async handle(context) {
      const record = nodeFor(context, 'node.read')
      return { recordings: labOf(context.services).recordings.list(record.id) }
    },
  }),
  route({
    method: 'get',
    path: '/api/recordings',
    tag: 'Recordings',
    summary: 'All recordings that one may replay, newest first, also of nodes that are gone',
    access: 'recording.replay',
    query: z.strictObject({ nodeId: nodeIdSchema.optional() }),
    answer: { status: 200, schema: recordingsAnswerSchema },
    async handle({ services, subject, query }) {
      const all = labOf(services).recordings.list(query.nodeId)
      return { recordings: all.filter((one) => mayReplay(services, subject, one)) }
    },
  }),
  route({
    method: 'get',
    path: '/api/recordings/{id}',
    tag: 'Recordings',
    summary: 'What is known of a recording',
    access: 'signed-in',
    params,
    answer: { status: 200, schema: z.object({ recording: recordingSchema }) },
    errors: ['not_found', 'not_allowed'],
    handle: async (context) => ({ recording: recordingFor(context) }),
  }),
  route({
    method: 'get',
    path: '/api/recordings/{id}/data',
    tag: 'Recordings',
    summary: 'A recording itself: asciicast v2 of a terminal, Guacamole’s instructions of a screen',
    access: 'signed-in',
    params,
    answer: { status: 200, contentType: 'application/octet-stream' },
    errors: ['not_found', 'not_allowed'],
    audit: 'recording.replay', // whoever looks at what others did leaves a line, too
    async handle(context): Promise<FileAnswer> {
      const { id } = recordingFor(context)
      const { recording, sizeBytes, stream } = await labOf(context.services).recordings.read(id)
      const format = recordingFormat(recording.kind)
      const fileName = `${recording.nodeName}-${recording.startedAt.slice(0, 19).replaceAll(':', '-')}.${format}`
      return { contentType: CONTENT_TYPES[format], fileName, sizeBytes, stream }
    },
  }),
  route({
    method: 'delete',
    path: '/api/recordings/{id}',
    tag: 'Recordings',
    summary: 'Delete a recording for good',
    access: 'signed-in',
    params,
    answer: { status: 204 },
    errors: ['not_found', 'not_allowed', 'busy'],
    audit: 'recording.delete',
    async handle(context) {
      await labOf(context.services).recordings.remove(recordingFor(context).id)
    },
  }),
]

function mayReplay(services: Services, subject: Subject, { ownerId }: Recording): boolean {
  return authorize(subject, 'recording.replay', ownedBy(services, ownerId))
}

/** A foreign one answers as an absent one does; one's own that one may not replay, `not_allowed`. Names it for the audit. */
function recordingFor(context: {
  services: Services
  subject: Subject
  params: { id: string }
  about(object: { type: string; id: string; name?: string; details?: Record<string, unknown> }): void
}): Recording {
  const { services, subject, params: named } = context
  const recording = labOf(services).recordings.get(named.id)
  const { id: recordingId, nodeId, nodeName, kind, startedAt, ownerId } = recording
  if (!authorize(subject, 'node.read', ownedBy(services, ownerId))) {
    throw new SandlabError('not_found', `There is no recording ${recordingId}.`)
  }
  context.about({ type: 'node', id: nodeId, name: nodeName, details: { recordingId, kind, startedAt } })
  if (mayReplay(services, subject, recording)) return recording
  throw new SandlabError('not_allowed', 'Only instructors and administrators replay recordings.', {
    hint: 'Ask an instructor.',
  })
}
