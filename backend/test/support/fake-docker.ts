import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A container as the engine keeps it. */
export interface FakeContainer {
  name: string
  /** What it was made with; as `POST /containers/create` had it. */
  body: { Labels?: Record<string, string>; HostConfig?: Record<string, unknown> } & Record<string, unknown>
  isRunning: boolean
}

/** The part of Docker's API that concerns containers, on a socket of its own. */
export interface FakeDocker {
  socket: string
  containers: Map<string, FakeContainer>
  /** Every request: `POST /containers/x/start?…`. */
  asked: string[]
  /** Answered with 500 from now on: the engine is ill. */
  breakDown(): void
  close(): Promise<void>
}

/** `own` is what the engine says of the broker's container, whose id is `own`. */
export async function startFakeDocker(own: object): Promise<FakeDocker> {
  const folder = await mkdtemp(join(tmpdir(), 'sbx-docker-'))
  const socket = join(folder, 'docker.sock')
  const containers = new Map<string, FakeContainer>()
  const asked: string[] = []
  let isIll = false

  async function answer(request: IncomingMessage): Promise<[number, unknown?]> {
    const url = new URL(request.url ?? '', 'http://docker')
    asked.push(`${request.method} ${url.pathname}${url.search}`)
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    if (isIll) return [500, { message: 'no space left on device' }]
    const [, , id = '', verb = ''] = url.pathname.split('/')
    if (id === 'create') {
      const name = url.searchParams.get('name') ?? ''
      if (containers.has(name)) return [409, { message: `The name ${name} is in use` }]
      const body = JSON.parse(Buffer.concat(chunks).toString('utf8')) as FakeContainer['body']
      containers.set(name, { name, body, isRunning: false })
      return [201, { Id: name, Warnings: [] }]
    }
    if (id === 'own') return [200, own]
    const found = containers.get(id)
    if (!found) return [404, { message: `No such container: ${id}` }]
    if (request.method === 'DELETE') return (containers.delete(id), [204])
    if (verb === 'json') {
      return [200, { Config: { Labels: found.body.Labels ?? {} }, State: { Running: found.isRunning } }]
    }
    if (found.isRunning === (verb === 'start')) return [304]
    found.isRunning = verb === 'start'
    return [204]
  }

  const server = createServer((request, response) => {
    void answer(request).then(([status, body]) =>
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(body === undefined ? undefined : JSON.stringify(body)),
    )
  })
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  return {
    socket,
    containers,
    asked,
    breakDown: () => void (isIll = true),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      await rm(folder, { recursive: true, force: true })
    },
  }
}
