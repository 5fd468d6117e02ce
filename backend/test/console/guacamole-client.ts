import { WebSocket } from 'ws'
import type { SerialServerMessage, Viewer } from '../../src/domain/console.js'

/** One Guacamole instruction: its opcode, then its arguments. */
export type Instruction = string[]

/** A viewer of a screen through guacd, as the page is one. Answers each `sync`, or guacd would give it up. */
export interface GuacamoleClient {
  readonly ws: WebSocket
  readonly messages: SerialServerMessage[]
  readonly instructions: Instruction[]
  readonly viewers: Viewer[]
  readonly isWriter: boolean
  /** Bytes of text that came. */
  readonly byteCount: number
  send(...instruction: (string | number)[]): void
  sendText(text: string): void
  has(opcode: string): boolean
  closed: Promise<{ code: number; reason: string }>
}

export function connectGuacamole(
  url: string,
  options: { origin: string; user?: string; headers?: Record<string, string>; autoPong?: boolean; syncs?: boolean },
): Promise<GuacamoleClient> {
  const user = options.user === undefined ? {} : { 'x-test-user': options.user }
  const ws = new WebSocket(url, {
    perMessageDeflate: false,
    autoPong: options.autoPong ?? true,
    headers: { origin: options.origin, ...user, ...options.headers },
  })
  const client = clientOver(ws, options.syncs ?? true)
  return new Promise((resolve, reject) => {
    ws.once('open', () => resolve(client))
    ws.once('unexpected-response', (_request, response) => reject(new Error(`HTTP ${response.statusCode}`)))
    ws.once('error', reject)
  })
}

function clientOver(ws: WebSocket, syncs: boolean): GuacamoleClient {
  const messages: SerialServerMessage[] = []
  const instructions: Instruction[] = []
  let byteCount = 0
  const client: GuacamoleClient = {
    ws,
    messages,
    instructions,
    get byteCount() {
      return byteCount
    },
    get viewers() {
      return messages.findLast((message) => message.type === 'viewers')?.viewers ?? []
    },
    get isWriter() {
      const hello = messages.find((message) => message.type === 'hello')
      return client.viewers.some(({ id, writer }) => id === hello?.viewerId && writer)
    },
    send: (...instruction) => client.sendText(encode(instruction.map(String))),
    sendText: (text) => void (ws.readyState === ws.OPEN && ws.send(text)),
    has: (opcode) => instructions.some(([one]) => one === opcode),
    closed: new Promise((resolve) => ws.once('close', (code, reason) => resolve({ code, reason: reason.toString() }))),
  }
  ws.on('error', () => undefined)
  ws.on('message', (data: Buffer) => {
    const text = data.toString('utf8')
    byteCount += data.length
    if (text.startsWith('{')) messages.push(JSON.parse(text) as SerialServerMessage)
    else
      for (const instruction of decode(text)) {
        // Pictures are not kept: a test looks at what comes, not at every pixel of it.
        if (instruction[0] === 'blob') instruction[2] = ''
        instructions.push(instruction)
        if (instructions.length > 5000) instructions.splice(0, 2500)
        if (instruction[0] === 'sync' && syncs) client.send('sync', instruction[1] ?? '0')
      }
  })
  return client
}

export function encode(elements: string[]): string {
  return `${elements.map((element) => `${Array.from(element).length}.${element}`).join(',')};`
}

/** Whole instructions; lengths count code points. */
export function decode(text: string): Instruction[] {
  const letters = Array.from(text)
  const found: Instruction[] = []
  let elements: string[] = []
  for (let at = 0; at < letters.length;) {
    const dot = letters.indexOf('.', at)
    const length = Number(letters.slice(at, dot).join(''))
    elements.push(letters.slice(dot + 1, dot + 1 + length).join(''))
    const stop = letters[dot + 1 + length]
    at = dot + 2 + length
    if (stop !== ';') continue
    found.push(elements)
    elements = []
  }
  return found
}
