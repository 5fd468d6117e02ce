import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Publisher {
  /** Base address, without a slash at the end. */
  url: string
  /** What was asked, in order: path, and the headers that matter. */
  requests: { path: string; range: string | undefined; ifRange: string | undefined }[]
  /** Serves these bytes from now on, with this ETag (default: their digest; null: none). */
  serve(path: string, content: Buffer, options?: { etag?: string | null }): void
  /** The next so many bodies end after `bytes` bytes, the connection is cut. */
  dropAfter(bytes: number, times: number): void
  /** Answers a path by hand. */
  answer(path: string, handler: (request: IncomingMessage, response: ServerResponse) => void): void
  /** As a server that knows nothing of ranges. */
  ignoreRanges(): void
  close(): Promise<void>
}

interface Served {
  content: Buffer
  etag: string | null
}

/** A publisher's download server on 127.0.0.1, as good or as bad as a test wants it. */
export async function startPublisher(): Promise<Publisher> {
  const files = new Map<string, Served>()
  const answers = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>()
  const requests: Publisher['requests'] = []
  const drop = { after: 0, times: 0 }
  let ranges = true

  const server = createServer((request, response) => {
    const path = request.url ?? ''
    requests.push({ path, range: request.headers.range, ifRange: header(request, 'if-range') })
    const byHand = answers.get(path)
    if (byHand) return byHand(request, response)
    const file = files.get(path)
    if (!file) return void response.writeHead(404).end('not here')
    sendFile(request, response, file)
  })

  function sendFile(
    request: IncomingMessage,
    response: ServerResponse,
    file: { content: Buffer; etag: string | null },
  ) {
    const { content, etag } = file
    if (etag !== null) response.setHeader('etag', etag)
    const start = ranges ? rangeStart(request, etag) : undefined
    if (start !== undefined && start >= content.length) {
      response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end()
      return
    }
    const body = content.subarray(start ?? 0)
    response.setHeader('content-length', body.length)
    if (start === undefined) response.writeHead(200)
    else response.writeHead(206, { 'content-range': `bytes ${start}-${content.length - 1}/${content.length}` })
    if (drop.times === 0) {
      response.end(body)
      return
    }
    drop.times -= 1
    response.write(body.subarray(0, drop.after), () => response.socket?.destroySoon())
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // The address of a server that listens on TCP is an object.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    serve: (path, content, options = {}) =>
      void files.set(path, {
        content,
        etag: options.etag === undefined ? `"${sha256(content).slice(0, 16)}"` : options.etag,
      }),
    dropAfter: (bytes, times) => void Object.assign(drop, { after: bytes, times }),
    answer: (path, handler) => void answers.set(path, handler),
    ignoreRanges: () => void (ranges = false),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function rangeStart(request: IncomingMessage, etag: string | null): number | undefined {
  const start = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]
  const condition = header(request, 'if-range')
  if (start === undefined || (condition !== undefined && condition !== etag)) return undefined
  return Number(start)
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' ? value : undefined
}

export const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex')
