import { WebSocket } from 'ws'
import type { SerialClientMessage, SerialServerMessage, Viewer } from '../../src/domain/console.js'

/** A viewer as the page is one, with everything that it got. */
export interface ConsoleClient {
  readonly ws: WebSocket
  readonly messages: SerialServerMessage[]
  /** All binary bytes, the replay included. */
  readonly bytes: Buffer
  readonly byteCount: number
  /** The bytes without the terminal reset that a replay begins with. */
  readonly text: string
  readonly viewers: Viewer[]
  readonly isWriter: boolean
  readonly skippedBytes: number
  /** Acknowledges everything that it gets, as a page that draws fast. */
  acknowledging: boolean
  /** Keeps what it gets; off for floods. */
  keeping: boolean
  tell(message: SerialClientMessage): void
  type(bytes: string | Buffer): void
  closed: Promise<{ code: number; reason: string; afterMs(since: number): number }>
}

export interface ConnectOptions {
  origin?: string | undefined
  user?: string | undefined
  /** An API token, as the command line sends it. */
  token?: string | undefined
  /** Off: never answers a ping. */
  autoPong?: boolean
  /** Off from the first byte: a screen's relay takes no acknowledgement. */
  acknowledging?: boolean
}

function socketTo(url: string, { origin, user, token, autoPong = true }: ConnectOptions): WebSocket {
  return new WebSocket(url, {
    perMessageDeflate: false,
    autoPong,
    headers: {
      ...(origin === undefined ? {} : { origin }),
      ...(user === undefined ? {} : { 'x-test-user': user }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
  })
}

/** Rejects with the HTTP status when the upgrade is refused. */
export function connectConsole(url: string, options: ConnectOptions): Promise<ConsoleClient> {
  const ws = socketTo(url, options)
  const client = clientOver(ws)
  client.acknowledging = options.acknowledging ?? true
  return new Promise((resolve, reject) => {
    ws.once('open', () => resolve(client))
    ws.once('unexpected-response', (_request, response) => reject(new Error(`HTTP ${response.statusCode}`)))
    ws.once('error', reject)
  })
}

/** The status that an upgrade is answered with: 101, or that of a refusal before it. */
export function upgradeStatus(url: string, options: ConnectOptions): Promise<{ status: number; code?: string }> {
  const ws = socketTo(url, options)
  return new Promise((resolve, reject) => {
    ws.once('open', () => {
      resolve({ status: 101 })
      ws.terminate()
    })
    ws.once('unexpected-response', (_request, response) => {
      let body = ''
      response.on('data', (chunk: Buffer) => (body += chunk.toString()))
      response.on('end', () => {
        const { error } = JSON.parse(body) as { error: { code: string } }
        resolve({ status: response.statusCode ?? 0, code: error.code })
      })
    })
    ws.once('error', reject)
  })
}

function clientOver(ws: WebSocket): ConsoleClient {
  const chunks: Buffer[] = []
  const messages: SerialServerMessage[] = []
  let byteCount = 0
  const closed = new Promise<{ code: number; reason: string; afterMs(since: number): number }>((resolve) => {
    ws.once('close', (code, reason) => {
      const at = performance.now()
      resolve({ code, reason: reason.toString(), afterMs: (since) => at - since })
    })
  })
  const client: ConsoleClient = {
    ws,
    messages,
    closed,
    acknowledging: true,
    keeping: true,
    get bytes() {
      return Buffer.concat(chunks)
    },
    get byteCount() {
      return byteCount
    },
    get text() {
      return client.bytes.toString().slice('\u001bc'.length)
    },
    get viewers() {
      return messages.findLast((message) => message.type === 'viewers')?.viewers ?? []
    },
    get isWriter() {
      const hello = messages.find((message) => message.type === 'hello')
      return client.viewers.some(({ id, writer }) => id === hello?.viewerId && writer)
    },
    get skippedBytes() {
      return messages.reduce((sum, message) => sum + (message.type === 'skipped' ? message.bytes : 0), 0)
    },
    tell: (message) => ws.send(JSON.stringify(message)),
    type: (bytes) => ws.send(Buffer.from(bytes)),
  }
  ws.on('message', (data: Buffer, isBinary: boolean) => {
    if (!isBinary) {
      messages.push(JSON.parse(data.toString()) as SerialServerMessage)
      return
    }
    byteCount += data.length
    if (client.keeping) chunks.push(data)
    if (client.acknowledging && ws.readyState === ws.OPEN) client.tell({ type: 'ack', bytes: byteCount })
  })
  return client
}
