import { randomUUID } from 'node:crypto'
import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import compression from 'compression'
import express, { type Express } from 'express'
import { rateLimit } from 'express-rate-limit'
import { pinoHttp } from 'pino-http'
import { CONSOLE_PATH } from '../domain/console.js'
import { SandlabError } from '../domain/error.js'
import { addressOf } from './address.js'
import { errorHandler, toSandlabError } from './errors.js'
import { mountRoutes } from './mount.js'
import { contentSecurity, mountDocs, mountPage } from './page.js'
import { allRoutes } from './routes.js'
import type { Services } from './services.js'
import { mountUploads } from './uploads.js'
import { upgradeConsole } from './upgrade.js'
import { requestIdOf } from './request-id.js'

const BODY_LIMIT_BYTES = 256 * 1024

/** The HTTP server, not yet listening. `pageFolder`: the built page; undefined in tests of the API alone. */
export function createServer(services: Services, pageFolder: string | undefined): Server {
  const app = express()
  app.disable('x-powered-by')
  app.set('query parser', 'simple')
  app.use(
    pinoHttp({
      logger: services.log,
      genReqId: () => randomUUID(),
      // The query may hold a console ticket; request headers hold cookies and tokens.
      serializers: {
        req: (request: { id: string; method: string; url: string }) => ({
          id: request.id,
          method: request.method,
          path: request.url.split('?')[0],
        }),
        res: (response: { statusCode: number }) => ({ status: response.statusCode }),
      },
      customLogLevel: (_request, response) => (response.statusCode >= 500 ? 'warn' : 'debug'),
    }),
  )
  app.use((request, response, next) => {
    response.setHeader('X-Request-Id', requestIdOf(request))
    next()
  })
  app.use(...contentSecurity())
  app.use(compression())
  app.use('/api', limiter(services), express.json({ limit: BODY_LIMIT_BYTES, strict: false }), noStore)
  mountUploads(app, services)
  mountRoutes(app, services, allRoutes())
  mountDocs(app)
  if (pageFolder !== undefined) mountPage(app, pageFolder, services.config)
  app.use((request) => {
    throw new SandlabError('not_found', `There is nothing at ${request.path.slice(0, 200)}.`, {
      hint: 'See /api/docs.',
    })
  })
  app.use(errorHandler(services.log))
  return withUpgrades(app, services)
}

const noStore: express.RequestHandler = (_request, response, next) => {
  response.setHeader('Cache-Control', 'no-store')
  next()
}

function limiter(services: Services): express.RequestHandler {
  return rateLimit({
    windowMs: 60_000,
    limit: services.config.requestsPerMinute,
    standardHeaders: 'draft-7',
    legacyHeaders: false,
    keyGenerator: (request) => addressOf(services.config, request),
    validate: false, // our own addressOf decides what to trust
    handler: (_request, _response, next) =>
      next(
        new SandlabError('too_many_requests', 'Too many requests from this address in the last minute.', {
          hint: 'Slow down; changes arrive by themselves over socket.io.',
          details: { retryAfterSeconds: 60 },
        }),
      ),
  })
}

/** The one upgrade router: consoles, socket.io by its own listener, and an end for everything else. */
function withUpgrades(app: Express, services: Services): Server {
  const http = createHttpServer(app)
  http.requestTimeout = 0 // uploads and a guest's shutdown take their time; headers do not
  http.headersTimeout = 20_000
  // Longer than proxies and clients keep a connection for later (Caddy: two minutes): who sends again as the other side
  // hangs up gets no answer.
  http.keepAliveTimeout = 130_000
  answerExpectations(http, app)
  http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', (error) => services.log.debug({ err: error }, 'an upgrade socket failed'))
    const path = (request.url ?? '').split('?')[0] ?? ''
    if (path.startsWith('/socket.io/')) return
    if (path !== CONSOLE_PATH) {
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
      return
    }
    upgradeConsole(services, request, socket, head).catch((error: unknown) => {
      services.log.warn({ err: toSandlabError(error) }, 'a console upgrade failed')
      socket.destroy()
    })
  })
  return http
}

/** `Expect: 100-continue` asks for a word before the body; any other expectation may be ignored (RFC 9110, 10.1.1). */
function answerExpectations(http: Server, app: Express): void {
  http.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    // Behind another answer on the same connection Node would write it into the middle of ours; it may be left out.
    if (response.socket) response.writeContinue()
    app(request, response)
  })
  http.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => app(request, response))
}
