import { WebSocket } from 'ws'
import { z } from 'zod'
import {
  consoleTicketSchema,
  CONSOLE_KINDS,
  CONSOLE_MODES,
  SCREEN_ENGINES,
  type ConsoleMode,
  type SerialClientMessage,
  type SerialServerMessage,
} from '../domain/console.js'
import { SandlabError } from '../domain/error.js'
import type { Client } from './client.js'

/** One open WebSocket of a terminal: a serial line, or a shell over SSH, which speaks the same way. */
export interface SerialConnection {
  type(bytes: Buffer): void
  tell(message: SerialClientMessage): void
  /** Resolves with the close code; never rejects. */
  readonly closed: Promise<{ code: number; reason: string }>
  close(): void
}

export interface SerialListener {
  /** Bytes to draw. Call `drawn` when the terminal has taken them: the server holds output back until then. */
  output(bytes: Buffer, drawn: () => void): void
  message(message: SerialServerMessage): void
}

const OPEN_TIMEOUT_MS = 15_000
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024
/** Acknowledged in steps, far below the window of SERIAL_WINDOW_BYTES. */
const ACK_EVERY_BYTES = 64 * 1024

const serverMessageSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('hello'),
    viewerId: z.string(),
    mode: z.enum(CONSOLE_MODES),
    replayBytes: z.int().nonnegative(),
    recorded: z.boolean(),
  }),
  z.object({
    type: z.literal('viewers'),
    viewers: z.array(
      z.object({
        id: z.string(),
        login: z.string(),
        kind: z.enum(CONSOLE_KINDS),
        mode: z.enum(CONSOLE_MODES),
        engine: z.enum(SCREEN_ENGINES),
        writer: z.boolean(),
        size: z.object({ columns: z.number(), rows: z.number() }).nullable(),
      }),
    ),
  }),
  z.object({ type: z.literal('skipped'), bytes: z.number() }),
  z.object({ type: z.literal('node-stopped') }),
  z.object({ type: z.literal('recorded'), recorded: z.boolean(), reason: z.string().nullable() }),
]) satisfies z.ZodType<SerialServerMessage>

/** Asks for a ticket and opens the socket. Throws the server's refusal, or `unreachable`. */
export async function openSerial(
  client: Client,
  nodeId: string,
  { kind, mode }: { kind: 'serial' | 'ssh'; mode: ConsoleMode },
  listener: SerialListener,
): Promise<SerialConnection> {
  const ticket = await client.send('POST', `/api/nodes/${nodeId}/consoles`, { kind, mode }, consoleTicketSchema)
  const url = `${client.target.url.replace(/^http/, 'ws')}${ticket.url}`
  const socket = new WebSocket(url, {
    headers: { authorization: `Bearer ${client.target.token}` },
    handshakeTimeout: OPEN_TIMEOUT_MS,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
  })
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.once('close', (code, reason) => resolve({ code, reason: reason.toString('utf8') }))
  })
  listen(socket, listener) // before it is open: nothing may be missed
  await opened(socket, client.target.url)
  const ifOpen = (send: () => void) => {
    if (socket.readyState === WebSocket.OPEN) send()
  }
  return {
    type: (bytes) => ifOpen(() => socket.send(bytes)),
    tell: (message) => ifOpen(() => socket.send(JSON.stringify(message))),
    closed,
    close: () => socket.close(1000),
  }
}

function opened(socket: WebSocket, url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve())
    socket.once('error', (cause) => {
      const status = /Unexpected server response: (\d+)/.exec(cause.message)?.[1]
      if (status === undefined) {
        reject(new SandlabError('unreachable', `The console at ${url} does not answer.`, { cause }))
        return
      }
      const message = `The console was refused (${status}).`
      const hint = 'Is there a proxy between, that does not pass WebSockets or the Authorization header?'
      reject(new SandlabError('not_allowed', message, { hint, cause }))
    })
  })
}

function listen(socket: WebSocket, listener: SerialListener): void {
  let drawnBytes = 0
  let acknowledgedBytes = 0
  socket.on('error', () => socket.terminate()) // `close` follows and says the rest
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    if (!isBinary) {
      const message = serverMessageSchema.safeParse(parseJson(data.toString('utf8')))
      if (message.success) listener.message(message.data) // a newer server's message is no reason to end
      return
    }
    listener.output(data, () => {
      drawnBytes += data.length
      if (drawnBytes - acknowledgedBytes < ACK_EVERY_BYTES || socket.readyState !== WebSocket.OPEN) return
      acknowledgedBytes = drawnBytes
      socket.send(JSON.stringify({ type: 'ack', bytes: drawnBytes } satisfies SerialClientMessage))
    })
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
