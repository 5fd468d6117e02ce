import { z } from 'zod'
import {
  type ConsoleMode,
  type ConsoleRequest,
  consoleRequestSchema,
  consoleTicketSchema,
  sendKeysSchema,
  typeTextSchema,
} from '../../domain/console.js'
import { SandlabError } from '../../domain/error.js'
import type { NodeId } from '../../domain/ids.js'
import { sshRefusalOf } from '../../domain/image.js'
import { type NodeRecord, nodeRefuses } from '../../domain/node.js'
import { keysForText } from '../../hosts/keymap.js'
import { route } from '../route.js'
import { labOf, type Lab } from '../services.js'
import { nodeFor, nodeParams } from './nodes.js'

/** A page names the moment, so that its browser asks again. */
const pictureQuery = z.strictObject({ at: z.string().max(40).optional() })
const SERIAL_LOG_BYTES = 256 * 1024

export const consoleRoutes = [
  route({
    method: 'post',
    path: '/api/nodes/{id}/consoles',
    tag: 'Consoles',
    summary: 'A ticket for one console: one use, 30 seconds',
    access: 'signed-in',
    params: nodeParams,
    body: consoleRequestSchema,
    answer: { status: 201, schema: consoleTicketSchema },
    errors: ['not_found', 'console_not_available', 'too_many_viewers', 'unsupported'],
    audit: 'console.open',
    async handle(context) {
      const { services, subject, body } = context
      const record = nodeFor(context, 'node.console')
      context.about({ type: 'node', id: record.id, name: record.name, details: { kind: body.kind, mode: body.mode } })
      const refusal = nodeRefuses('console', labOf(services).nodes.get(record.id).status)
      if (refusal !== undefined) {
        throw new SandlabError('console_not_available', `${record.name}: ${refusal}`, { hint: 'Start it first.' })
      }
      const { consoles } = labOf(services)
      if (body.kind === 'ssh') refuseSsh(labOf(services), record, body.mode)
      const { kind, mode } = body
      const chosen = await engineFor(labOf(services), record.id, body)
      context.about({ type: 'node', id: record.id, name: record.name, details: { kind, mode, engine: chosen.engine } })
      return consoles.issueTicket({ subject, nodeId: record.id, kind, mode, ...chosen })
    },
  }),
  route({
    method: 'get',
    path: '/api/nodes/{id}/viewers',
    tag: 'Consoles',
    summary: 'Who has a console of this node open',
    access: 'signed-in',
    params: nodeParams,
    answer: {
      status: 200,
      schema: z.object({
        viewers: z.array(
          z.object({
            id: z.string(),
            login: z.string(),
            kind: z.string(),
            mode: z.string(),
            engine: z.string(),
            writer: z.boolean(),
          }),
        ),
      }),
    },
    errors: ['not_found'],
    handle: async (context) => ({
      viewers: labOf(context.services).consoles.viewers(nodeFor(context, 'node.read').id),
    }),
  }),
  route({
    method: 'post',
    path: '/api/nodes/{id}/keys',
    tag: 'Consoles',
    summary: 'Press keys together, by their QEMU names',
    access: 'signed-in',
    params: nodeParams,
    body: sendKeysSchema,
    answer: { status: 204 },
    errors: ['not_found', 'console_not_available', 'engine_failed'],
    audit: 'console.sendKeys',
    async handle(context) {
      const record = nodeFor(context, 'node.console')
      await pressed(labOf(context.services).engine.sendKeys(record.id, context.body.keys), record.name)
    },
  }),
  route({
    method: 'post',
    path: '/api/nodes/{id}/type',
    tag: 'Consoles',
    summary: 'Type text on the screen console (US layout)',
    access: 'signed-in',
    params: nodeParams,
    body: typeTextSchema,
    answer: { status: 204 },
    errors: ['not_found', 'console_not_available', 'engine_failed', 'unsupported'],
    audit: 'console.typeText',
    async handle(context) {
      const record = nodeFor(context, 'node.console')
      const { engine } = labOf(context.services)
      let gone = false
      context.request.once('aborted', () => (gone = true)) // cancelled on the page: stop typing
      for (const keys of keysForText(context.body.text)) {
        if (gone) return
        await pressed(engine.sendKeys(record.id, keys), record.name)
      }
    },
  }),
  route({
    method: 'get',
    path: '/api/nodes/{id}/serial-log',
    tag: 'Consoles',
    summary: 'The newest 256 KiB of the serial line',
    access: 'signed-in',
    params: nodeParams,
    answer: { status: 200, contentType: 'text/plain; charset=utf-8' },
    errors: ['not_found'],
    async handle(context) {
      const record = nodeFor(context, 'node.read')
      const bytes = await labOf(context.services).engine.serialTail(record.id, SERIAL_LOG_BYTES)
      return { contentType: 'text/plain; charset=utf-8', bytes }
    },
  }),
  route({
    method: 'get',
    path: '/api/nodes/{id}/screenshot',
    tag: 'Consoles',
    summary: 'The screen now',
    access: 'signed-in',
    params: nodeParams,
    query: pictureQuery,
    answer: { status: 200, contentType: 'image/png' },
    errors: ['not_found', 'console_not_available'],
    async handle(context) {
      const record = nodeFor(context, 'node.read')
      return { contentType: 'image/png', bytes: await labOf(context.services).nodes.screenshot(record.id) }
    },
  }),
  route({
    method: 'get',
    path: '/api/nodes/{id}/last-screen',
    tag: 'Consoles',
    summary: 'The last picture of its screen that was taken',
    access: 'signed-in',
    params: nodeParams,
    query: pictureQuery,
    answer: { status: 200, contentType: 'image/png' },
    errors: ['not_found'],
    async handle(context) {
      const record = nodeFor(context, 'node.read')
      return { contentType: 'image/png', bytes: await labOf(context.services).nodes.lastScreen(record.id) }
    },
  }),
]

/** An SSH session is one person's own shell: nobody looks on, and there must be somebody to sign in as. */
function refuseSsh({ consoles, store }: Lab, { name, imageId }: NodeRecord, mode: ConsoleMode): void {
  const image = store.data.images.find(({ id }) => id === imageId)
  const refusal = consoles.hasSsh ? sshRefusalOf(image) : 'This SandLabX has none; the log of its start says why.'
  if (refusal !== null) {
    throw new SandlabError('unsupported', `There is no SSH console of ${name}. ${refusal}`, {
      hint: 'Its serial line and its screen need no network.',
    })
  }
  if (mode === 'control') return
  throw new SandlabError('unsupported', `An SSH session on ${name} is one person's own; nobody else can watch it.`, {
    hint: 'Watch its serial line or its screen, or open an SSH console to type in.',
  })
}

/** A recorded screen comes through Guacamole, whatever was wished for: nothing else can be recorded and played again. */
async function engineFor({ consoles, recordings }: Lab, nodeId: NodeId, { kind, engine }: ConsoleRequest) {
  if (kind !== 'screen' || !recordings.areWanted(nodeId)) return consoles.chooseEngine(kind, engine)
  const chosen = await consoles.chooseEngine(kind, 'guacamole')
  if (chosen.engine === 'direct') return { ...chosen, notice: `${chosen.notice ?? ''} It is not recorded.`.trim() }
  return {
    ...chosen,
    notice: engine === 'direct' ? 'This node is recorded, so its screen comes through Guacamole.' : null,
  }
}

async function pressed(keys: Promise<void>, name: string): Promise<void> {
  await keys.catch((error: unknown) => {
    throw new SandlabError('console_not_available', `The keys could not be sent to ${name}.`, {
      hint: 'Is it running?',
      cause: error,
    })
  })
}
