import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Image } from '../../src/domain/image.js'
import { operationSchema } from '../../src/domain/operation.js'
import { operationPlanSchema } from '../../src/domain/plan.js'
import { filesOfTransfer, transferSchema, type BeginTransfer } from '../../src/domain/transfer.js'

/**
 * What a sender sees of another SandLabX that has these images and takes everything: it keeps nothing, since only the
 * sender's files are looked at. What a real one does is tried by `test/api/transfers.test.ts`.
 */
export async function startFarSide(images: readonly Image[]): Promise<{ url: string; close(): Promise<void> }> {
  const sizes = new Map<string, number>()
  const server = createServer((request, response) => {
    const respond = async () => {
      const { headers = {}, ...body } = await answer(request)
      response.writeHead(200, { 'content-type': 'application/json', ...headers })
      response.end(JSON.stringify(body))
    }
    respond().catch(() => response.destroy()) // the sender was killed
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // it listens on TCP
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }

  async function answer(
    request: IncomingMessage,
  ): Promise<{ headers?: Record<string, string>; [key: string]: unknown }> {
    const { url = '', method } = request
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer) // no encoding is set
    const bytes = Buffer.concat(chunks)
    if (url === '/api/images') return { images }
    if (url.startsWith('/api/operations/')) return { operation: operation(url.slice('/api/operations/'.length)) }
    if (url.endsWith('/commit')) return { operation: operation(randomUUID()) }
    if (url === '/api/uploads') {
      const id = randomUUID().replaceAll('-', '')
      sizes.set(id, 0)
      return { headers: { location: `/api/uploads/${id}` } }
    }
    const upload = /^\/api\/uploads\/(\w+)$/.exec(url)?.[1]
    if (upload !== undefined) {
      const offset = (sizes.get(upload) ?? 0) + (method === 'PATCH' ? bytes.length : 0)
      sizes.set(upload, offset)
      return { headers: { 'upload-offset': String(offset) } }
    }
    const begin = JSON.parse(bytes.toString()) as BeginTransfer // the sender's own
    return url.includes('dryRun') ? { plan: plan() } : { transfer: transfer(begin) }
  }
}

function transfer(request: BeginTransfer) {
  const files = filesOfTransfer(request).map((file) => ({ ...file, uploadId: null, offset: 0 }))
  return transferSchema.parse({ id: randomUUID(), files, operationId: null })
}

function plan() {
  const nothing = { steps: [], space: [], creates: [], replaces: [], warnings: [] }
  return operationPlanSchema.parse({ kind: 'node.receive', title: 'Receive', refusal: null, ...nothing })
}

function operation(id: string) {
  const at = new Date().toISOString()
  return operationSchema.parse({
    id,
    kind: 'node.receive',
    title: 'Receive',
    state: 'succeeded',
    actorId: null,
    actorLogin: 'bob',
    target: null,
    step: '',
    progress: 1,
    bytesDone: null,
    bytesTotal: null,
    log: [],
    error: null,
    cancellable: false,
    startedAt: at,
    endedAt: at,
    outcome: 'committed',
    resources: [],
    items: [],
    request: null,
  })
}
