import type { Express, Request, RequestHandler, Response } from 'express'
import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import { authorize } from '../domain/authorize.js'
import { SandlabError } from '../domain/error.js'
import type { Subject } from '../domain/user.js'
import { addressOf } from './address.js'
import { refuseCrossSite, subjectOf } from './auth.js'
import { toSandlabError } from './errors.js'
import { requestKeyOf } from './idempotency.js'
import { countRequest } from './metrics.js'
import type { FileAnswer, RawAnswer, Route, RouteContext } from './route.js'
import { labOf, type Services } from './services.js'
import { requestIdOf } from './request-id.js'

/** Makes an Express handler of each row: who, may they, is the input right, handle, answer, audit. In that order. */
export function mountRoutes(app: Express, services: Services, routes: Route[]): void {
  for (const row of routes) {
    app[row.method](row.path.replaceAll(/\{(\w+)\}/g, ':$1'), handler(services, row))
  }
}

function handler(services: Services, row: Route): RequestHandler {
  return async (request, response) => {
    const began = performance.now()
    response.once('finish', () => {
      countRequest(row.method, row.path, response.statusCode, (performance.now() - began) / 1000)
    })
    const audit = new AuditNote()
    let subject: Subject | null = null
    try {
      if (row.beforeReady !== true) labOf(services)
      subject = await admitted(services, row, request)
      const context = contextOf(services, row, request, response, subject, audit)
      if (isDryRun(row, request)) {
        response.json({ plan: await row.plan?.(context as RouteContext<never, never, never>) })
        return
      }
      const work = async () => {
        const value = await row.handle(context as RouteContext<never, never, never>) // checked by `route`
        // Before the reply: what was acknowledged is in the audit log, or in its spool.
        await note(services, row, request, subject, audit, null)
        return value
      }
      await send(row, response, await onlyOnce(services, subject, context, work))
    } catch (error) {
      await note(services, row, request, subject, audit, toSandlabError(error).code)
      throw error
    }
  }
}

/** A repeated request is answered as the first one was. */
async function onlyOnce(
  services: Services,
  subject: Subject | null,
  context: RouteContext<unknown, unknown, unknown>,
  work: () => Promise<unknown>,
): Promise<unknown> {
  if (!subject || !context.asked) return work()
  const { value, replayed } = await services.answers.once(subject, context.asked, work)
  if (replayed) context.response.setHeader('Idempotent-Replayed', 'true')
  return value
}

/** The subject, once everything that can be said without looking at the input has been said. */
async function admitted(services: Services, row: Route, request: Request): Promise<Subject | null> {
  if (row.access === 'public') {
    if (row.method !== 'get') refuseForeignPage(request)
    return null
  }
  const subject = await subjectOf(services, request)
  if (!subject) {
    throw new SandlabError('not_signed_in', 'You are not signed in.', { hint: 'Sign in, or send an API token.' })
  }
  refuseCrossSite(services, request, subject)
  if (subject.mustChangePassword && row.beforePasswordChange !== true) {
    throw new SandlabError('password_change_required', 'The first password must be changed before anything else.', {
      hint: 'Choose a new password on the page, or with PUT /api/session/password.',
    })
  }
  if (row.access !== 'signed-in' && !authorize(subject, row.access)) {
    throw new SandlabError('not_allowed', `Your role (${subject.role}) may not do this.`, {
      hint: 'Ask an administrator.',
    })
  }
  return subject
}

/** Sign-in has no session yet: a foreign page must not sign a browser in to somebody else's account. */
function refuseForeignPage(request: Request): void {
  const site = request.headers['sec-fetch-site']
  if (site === undefined || site === 'same-origin' || site === 'none') return
  throw new SandlabError('foreign_origin', 'This request came from another site.')
}

function contextOf(
  services: Services,
  row: Route,
  request: Request,
  response: Response,
  subject: Subject | null,
  audit: AuditNote,
): RouteContext<unknown, unknown, unknown> {
  const params = row.params ? parseParams(row.params, request.params) : undefined
  return {
    services,
    get subject(): Subject {
      if (!subject) throw new SandlabError('not_signed_in', 'You are not signed in.')
      return subject
    },
    params,
    query: queryOf(row, request),
    body: row.body ? parseBody(row.body, request) : undefined,
    request,
    response,
    requestId: requestIdOf(request),
    asked: row.access === 'public' ? null : requestKeyOf(request),
    about: (object) => void (audit.object = object),
  }
}

/** An id that can't be one names nothing: 404, as an absent one. */
function parseParams(schema: z.ZodObject, params: unknown): unknown {
  const parsed = schema.safeParse(params)
  if (!parsed.success) throw new SandlabError('not_found', 'There is no such thing.', { cause: parsed.error })
  return parsed.data
}

function parseBody(schema: z.ZodType, request: Request): unknown {
  const body: unknown = request.body
  // A POST without a body means all defaults; without the right type it means a form of a foreign page.
  if (body !== undefined) return schema.parse(body)
  if (Number(request.headers['content-length'] ?? 0) > 0) {
    throw new SandlabError('bad_request', 'The body must be JSON.', { hint: 'Send Content-Type: application/json.' })
  }
  return schema.parse({})
}

function isDryRun(row: Route, request: Request): boolean {
  return row.plan !== undefined && request.query['dryRun'] === 'true'
}

function queryOf(row: Route, request: Request): unknown {
  const { dryRun, ...others } = request.query
  const query = row.plan && (dryRun === 'true' || dryRun === 'false') ? others : request.query
  if (row.query) return row.query.parse(query)
  const [first] = Object.keys(query)
  if (first === undefined) return undefined
  throw new SandlabError('unknown_field', `The query field ${first.slice(0, 40)} is not known here.`)
}

async function send(row: Route, response: Response, result: unknown): Promise<void> {
  response.status(row.answer.status)
  if (row.answer.status === 204) {
    response.end()
  } else if (isFile(row, result)) {
    response.setHeader('Content-Type', result.contentType)
    response.setHeader('Content-Length', result.sizeBytes)
    response.setHeader('Cache-Control', 'no-store, no-transform') // compressed, nobody would know its length
    response.attachment(result.fileName).type(result.contentType)
    // Nobody can be told any more when it breaks off: the length tells.
    await pipeline(result.stream, response).catch(() => undefined)
  } else if (isRaw(row, result)) {
    response.setHeader('Content-Type', result.contentType)
    response.end(result.bytes)
  } else {
    response.json(result)
  }
}

function isFile(row: Route, result: unknown): result is FileAnswer {
  return row.answer.contentType !== undefined && typeof result === 'object' && result !== null && 'stream' in result
}

function isRaw(row: Route, result: unknown): result is RawAnswer {
  return row.answer.contentType !== undefined && typeof result === 'object' && result !== null && 'bytes' in result
}

class AuditNote {
  object: { type: string; id: string; name?: string; details?: Record<string, unknown> } | undefined
}

const SECRET_FIELDS = /password|token|secret/i

/** One row for each change, whether it worked or not. Writing it never fails the request: the audit spools. */
async function note(
  services: Services,
  row: Route,
  request: Request,
  subject: Subject | null,
  audit: AuditNote,
  code: string | null,
): Promise<void> {
  if (row.audit === undefined) return
  const { object } = audit
  const details = Object.entries(object?.details ?? {}).filter(([name]) => !SECRET_FIELDS.test(name))
  const entry = {
    actorId: subject?.userId ?? (code === null && object?.type === 'user' ? object.id : null),
    actorLogin: subject?.login ?? object?.name ?? 'anonymous',
    action: row.audit,
    objectType: object?.type ?? null,
    objectId: object?.id ? object.id : null,
    objectName: object?.name ?? null,
    address: addressOf(services.config, request),
    result: code === null ? ('success' as const) : ('failure' as const),
    code,
    requestId: requestIdOf(request),
    details: Object.fromEntries(details),
  }
  await services.audit.append(entry)
  services.bus.publish('audit', entry.requestId, null)
}
