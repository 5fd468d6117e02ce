import { rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { NODE_CONTAINER_CALLS, type BrokerFault } from '../domain/node-container.js'
import { BrokerError, type Broker } from './broker.js'

/** A body is an id and three numbers. */
const MAX_BODY_BYTES = 1024

const STATUS: Record<BrokerFault['fault'], number> = { 'bad-call': 400, 'not-found': 404, conflict: 409, docker: 502 }

/**
 * The four calls as `POST /create`, `/start`, `/stop`, `/remove` with a JSON body, on a socket that only its owner opens.
 * 204 when done, else a `BrokerFault`. Everything else is 404. `onCall` is told each call and how it went.
 */
export async function listen(broker: Broker, socket: string, onCall: (line: string) => void): Promise<Server> {
  await rm(socket, { force: true }) // of the broker before
  const server = createServer((request, response) => {
    void answer(broker, request, response, onCall)
  })
  server.requestTimeout = 5000 // of reading it; Docker may take longer
  const umask = process.umask(0o177)
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(socket, resolve)
    })
  } finally {
    process.umask(umask)
  }
  return server
}

async function answer(
  broker: Broker,
  request: IncomingMessage,
  response: ServerResponse,
  onCall: (line: string) => void,
): Promise<void> {
  const call = NODE_CONTAINER_CALLS.find((name) => request.method === 'POST' && request.url === `/${name}`)
  if (!call) return refuse(response, 404, { fault: 'bad-call', message: 'There is no such call.' })
  try {
    const body = await readBody(request)
    await broker[call](body)
    onCall(`${call} ${nodeIn(body)}: done`)
    response.writeHead(204).end()
  } catch (error) {
    const fault = error instanceof BrokerError ? error.fault : 'docker'
    const message = error instanceof Error ? error.message : String(error)
    onCall(`${call}: ${fault}: ${message}`)
    refuse(response, STATUS[fault], { fault, message })
  }
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_BODY_BYTES) throw new BrokerError('bad-call', 'The body is too long.')
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch (cause) {
    throw new BrokerError('bad-call', 'The body is no JSON.', { cause })
  }
}

/** Only after the call has read it as an id. */
function nodeIn(body: unknown): string {
  return (body as { node: string }).node
}

function refuse(response: ServerResponse, status: number, fault: BrokerFault): void {
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(fault))
}
