import { createServer, request as send, type IncomingMessage } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'

export interface PathProxy {
  /** With the path, without a slash at its end. */
  url: string
  close(): Promise<void>
}

export interface PathProxyOptions {
  /** Of the server behind. */
  target: string
  path: string
  /** What the proxy is called by browsers: its word for the Host header's name. */
  host: string
  /** Takes the path off and says so (X-Forwarded-Prefix), as Traefik's StripPrefix; else it stays on, as in a plain nginx. */
  takesOff: boolean
}

/** A small reverse proxy that serves another server under a path, WebSockets included. */
export async function startPathProxy(options: PathProxyOptions): Promise<PathProxy> {
  const target = new URL(options.target)
  const sockets = new Set<Socket>()
  const rewrite = (request: IncomingMessage) => {
    const headers = { ...request.headers, 'x-forwarded-proto': 'https', 'x-forwarded-host': options.host }
    const url = request.url ?? ''
    if (!options.takesOff) return { url, headers: { ...headers, 'x-forwarded-prefix': undefined } }
    return { url: url.slice(options.path.length) || '/', headers: { ...headers, 'x-forwarded-prefix': options.path } }
  }
  const server = createServer((request, response) => {
    if (!request.url?.startsWith(options.path)) {
      response.writeHead(418).end() // another site's
      return
    }
    const { url, headers } = rewrite(request)
    const given = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined))
    const passed = send(
      { host: target.hostname, port: target.port, method: request.method, path: url, headers: given },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      },
    )
    passed.on('error', () => response.destroy())
    request.pipe(passed)
  })
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const { url, headers } = rewrite(request)
    const lines = Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [`${name}: ${String(value)}\r\n`],
    )
    const passed = connect(Number(target.port), target.hostname, () => {
      passed.write(`GET ${url} HTTP/1.1\r\n${lines.join('')}\r\n`)
      passed.write(head)
      passed.pipe(socket).pipe(passed)
    })
    for (const one of [socket, passed]) {
      sockets.add(one)
      one.on('error', () => one.destroy())
      one.on('close', () => {
        socket.destroy()
        passed.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // it listens on TCP
  return {
    url: `http://127.0.0.1:${port}${options.path}`,
    async close() {
      for (const socket of sockets) socket.destroy()
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
