import { z } from 'zod'
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from 'zod-openapi'
import { ERROR_CODES, type ErrorCode } from '../domain/error.js'
import { operationPlanSchema } from '../domain/plan.js'
import type { Route } from './route.js'

const errorSchema = z
  .object({
    error: z.object({
      code: z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]), // the registry is not empty
      message: z.string(),
      hint: z.string().optional(),
      details: z.record(z.string(), z.unknown()).optional(),
      requestId: z.string().optional(),
    }),
  })
  .meta({ id: 'Error' })

let document: ReturnType<typeof createDocument> | undefined

/** OpenAPI 3.1, made from the very schemas that check the requests; the same object on every call. */
export function openApiDocument(version: string, routes: Route[]): ReturnType<typeof createDocument> {
  document ??= createDocument({
    openapi: '3.1.0',
    info: {
      title: 'SandLabX',
      version,
      description: 'Persistent virtual machines in the browser. The page and the CLI are clients of this API.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    security: [{ session: [] }, { token: [] }],
    components: {
      securitySchemes: {
        session: { type: 'apiKey', in: 'cookie', name: 'sandlabx_session' },
        token: { type: 'http', scheme: 'bearer' },
      },
    },
    paths: paths(routes),
  })
  return document
}

function paths(routes: Route[]): ZodOpenApiPathsObject {
  const result: ZodOpenApiPathsObject = {}
  for (const row of routes) {
    result[row.path] = { ...result[row.path], [row.method]: operation(row) }
  }
  return result
}

function operation(row: Route): ZodOpenApiOperationObject {
  return {
    operationId: `${row.method} ${row.path}`.replaceAll(/[^a-z]+/gi, '_').replace(/_$/, ''),
    tags: [row.tag],
    summary: row.summary,
    ...(row.access === 'public' ? { security: [] } : {}),
    ...requestParams(row),
    ...(row.body ? { requestBody: { required: true, content: { 'application/json': { schema: row.body } } } } : {}),
    responses: { [String(row.answer.status)]: answer(row), ...(row.plan ? dryRunAnswer : {}), ...failures(row) },
  }
}

const dryRunAnswer = {
  '200': {
    description: 'With `dryRun=true`: what it would do; nothing is done',
    content: { 'application/json': { schema: z.object({ plan: operationPlanSchema }) } },
  },
}

function requestParams(row: Route) {
  const query = row.plan
    ? (row.query ?? z.strictObject({})).extend({ dryRun: z.enum(['true', 'false']).optional() })
    : row.query
  const repeatable = row.method === 'post' && row.access !== 'public'
  return {
    requestParams: {
      ...(row.params && { path: row.params }),
      ...(query && { query }),
      ...(repeatable && { header: z.object({ 'Idempotency-Key': z.string().min(1).max(200).optional() }) }),
    },
  }
}

function answer(row: Route) {
  const { status, schema, contentType } = row.answer
  const description = status === 204 ? 'Done' : row.summary
  if (contentType !== undefined)
    return { description, content: { [contentType]: { schema: { type: 'string' as const } } } }
  return schema ? { description, content: { 'application/json': { schema } } } : { description }
}

/** Every route can also fail in the general ways: malformed, not signed in, too fast, not ready. */
function failures(row: Route) {
  const general: ErrorCode[] = [
    'bad_request',
    'unknown_field',
    'bad_json',
    'too_large',
    'too_many_requests',
    'internal',
  ]
  if (row.access !== 'public' && row.method === 'post') general.push('key_reused')
  if (row.method !== 'get') general.push('foreign_origin')
  if (row.access !== 'public') {
    general.push('not_signed_in', 'account_disabled', 'password_change_required', 'not_allowed', 'database_down')
  }
  if (row.params) general.push('not_found')
  if (row.beforeReady !== true) general.push('starting_up', 'no_space')
  const byStatus = new Map<number, Set<ErrorCode>>()
  for (const code of [...general, ...(row.errors ?? [])]) {
    const { status } = ERROR_CODES[code]
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code))
  }
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      String(status),
      { description: [...codes].join(', '), content: { 'application/json': { schema: errorSchema } } },
    ]),
  )
}
