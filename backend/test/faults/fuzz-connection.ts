import { connect, type Socket } from 'node:net'

export interface RawAnswer {
  status: number
  headers: Map<string, string>
  body: Buffer
  /** From the last byte sent to the last byte of the answer. */
  ms: number
}

/** One keep-alive connection on which requests are sent behind each other without waiting (pipelining). */
export interface Connection {
  /** `closed`: the server ended the connection before this answer; `silent`: nothing came in time. */
  send(request: Buffer, method: string): Promise<RawAnswer | 'closed' | 'silent'>
  readonly isOpen: boolean
  close(): void
}

interface Pending {
  method: string
  sentAt: number
  timer: NodeJS.Timeout
  settle(answer: RawAnswer | 'closed' | 'silent'): void
}

const SILENCE_MS = 20_000

export function openConnection(port: number): Connection {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  const pending: Pending[] = []
  let held: Buffer = Buffer.alloc(0)
  let open = true

  function end(): void {
    if (!open) return
    open = false
    const [last] = pending
    const answer = last && held.length > 0 ? readAnswer(held, last.method, true) : undefined
    if (answer) settleFirst(answer)
    for (const one of pending.splice(0)) settle(one, 'closed')
    socket.destroy()
  }

  function settle(one: Pending, answer: RawAnswer | 'closed' | 'silent'): void {
    clearTimeout(one.timer)
    one.settle(answer)
  }

  function settleFirst(read: Read): void {
    const one = pending.shift()
    if (one) settle(one, { ...read.answer, ms: performance.now() - one.sentAt })
  }

  socket.on('data', (chunk: Buffer) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    for (let next = pending[0]; next; next = pending[0]) {
      const read = readAnswer(held, next.method, false)
      if (!read) return
      held = held.subarray(read.end)
      if (read.answer.status >= 200) settleFirst(read)
    }
  })
  socket.on('error', end)
  socket.on('close', end)
  socket.on('end', end)
  return {
    get isOpen() {
      return open
    },
    send(request, method) {
      if (!open) return Promise.resolve('closed')
      return new Promise((resolve) => {
        const one: Pending = {
          method,
          sentAt: performance.now(),
          timer: setTimeout(() => {
            pending.splice(pending.indexOf(one), 1)
            resolve('silent')
            end()
          }, SILENCE_MS),
          settle: resolve,
        }
        pending.push(one)
        socket.write(request)
      })
    },
    close: end,
  }
}

/** Bytes that need be no HTTP at all, then an end; what came back until the server closed. */
export function exchange(port: number, bytes: Buffer): Promise<RawAnswer | 'closed' | 'silent'> {
  return new Promise((resolve) => {
    const sentAt = performance.now()
    let held: Buffer = Buffer.alloc(0)
    const socket: Socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.end(bytes))
    const timer = setTimeout(() => finish('silent'), SILENCE_MS)
    function finish(otherwise: 'closed' | 'silent'): void {
      clearTimeout(timer)
      socket.destroy()
      const read = readAnswer(held, 'GET', true)
      resolve(read ? { ...read.answer, ms: performance.now() - sentAt } : otherwise)
    }
    socket.on('data', (chunk: Buffer) => (held = Buffer.concat([held, chunk])))
    socket.once('error', () => finish('closed'))
    socket.once('end', () => finish('closed'))
  })
}

interface Read {
  answer: Omit<RawAnswer, 'ms'>
  /** Where the next answer begins. */
  end: number
}

/** Undefined: not all of it is here. `isLast`: nothing more will come. */
function readAnswer(bytes: Buffer, method: string, isLast: boolean): Read | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const [line = '', ...lines] = bytes.subarray(0, headEnd).toString('latin1').split('\r\n')
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(line)?.[1] ?? 0)
  const headers = new Map(lines.map((text) => [text.split(':', 1)[0]!.toLowerCase(), text.replace(/^[^:]*: ?/, '')]))
  const start = headEnd + 4
  const none = { answer: { status, headers, body: Buffer.alloc(0) }, end: start }
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return none
  if (headers.get('transfer-encoding') === 'chunked') return readChunks(bytes, start, none)
  const length = headers.get('content-length')
  if (length === undefined && !isLast) return undefined
  const end = length === undefined ? bytes.length : start + Number(length)
  if (bytes.length < end) return undefined
  return { answer: { status, headers, body: bytes.subarray(start, end) }, end }
}

function readChunks(bytes: Buffer, start: number, none: Read): Read | undefined {
  const parts: Buffer[] = []
  for (let at = start; ;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return undefined
    const length = Number.parseInt(bytes.subarray(at, lineEnd).toString('latin1'), 16)
    const end = lineEnd + 2 + length + 2
    if (Number.isNaN(length) || bytes.length < end) return undefined
    if (length === 0) return { answer: { ...none.answer, body: Buffer.concat(parts) }, end }
    parts.push(bytes.subarray(lineEnd + 2, end - 2))
    at = end
  }
}
