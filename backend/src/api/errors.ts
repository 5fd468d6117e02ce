import type { ErrorRequestHandler } from 'express'
import { ERROR_CODES, isSandlabError, SandlabError, type ErrorBody } from '../domain/error.js'
import { z } from 'zod'
import type { Logger } from '../system/log.js'
import { requestIdOf } from './request-id.js'

/** Turns whatever was thrown into an expected failure; what is not expected becomes a bare `internal`. */
export function toSandlabError(error: unknown): SandlabError {
  if (isSandlabError(error)) return error
  if (error instanceof z.ZodError) return invalidInput(error)
  if (isClientFault(error)) return ofClientFault(error)
  return new SandlabError('internal', 'Something failed that should not.', {
    hint: "Nothing more is known here; the server's log has the whole story under the request id.",
    cause: error,
  })
}

function invalidInput(error: z.ZodError): SandlabError {
  const issues = error.issues
    .slice(0, 20)
    .map((issue) => ({ field: issue.path.join('.') || '(body)', message: issue.message }))
  const unknown = error.issues.some((issue) => issue.code === 'unrecognized_keys')
  const first = issues[0]
  return new SandlabError(
    unknown ? 'unknown_field' : 'bad_request',
    first ? `${first.field}: ${first.message}` : 'The request is malformed.',
    { details: { issues }, hint: 'See /api/docs for the fields of this request.' },
  )
}

interface ClientFault extends Error {
  status: number
  type?: unknown
}

/** Express, its body parser and its file server say by a 4xx status that it was the request: an address with `%ff`, too. */
function isClientFault(error: unknown): error is ClientFault {
  if (!(error instanceof Error) || !('status' in error)) return false
  return Number(error.status) >= 400 && Number(error.status) < 500
}

function ofClientFault(error: ClientFault): SandlabError {
  if (error.type === 'entity.too.large') {
    return new SandlabError('too_large', 'The request body is larger than 256 KiB.', {
      hint: 'Disk images are uploaded in pieces to /api/uploads.',
    })
  }
  if (error.type === 'entity.parse.failed') {
    return new SandlabError('bad_json', 'The request body is not valid JSON.', { cause: error })
  }
  if (error.status === 404) return new SandlabError('not_found', 'There is no such file.', { cause: error })
  return new SandlabError('bad_request', 'The address, a header or the encoding of the body is malformed.', {
    hint: 'Send UTF-8 JSON, and encode every special character of the address.',
    cause: error,
  })
}

export function errorBody(error: SandlabError, requestId: string | undefined): ErrorBody {
  return {
    error: {
      code: error.code,
      message: error.message,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      ...(error.details === undefined ? {} : { details: error.details }),
      ...(requestId === undefined ? {} : { requestId }),
    },
  }
}

/** The last handler of the server: one place where a failure becomes an answer and a log line. */
export function errorHandler(log: Logger): ErrorRequestHandler {
  return (thrown, request, response, _next) => {
    const error = toSandlabError(thrown)
    const { status } = ERROR_CODES[error.code]
    const requestId = requestIdOf(request)
    if (status >= 500) log.error({ err: error.cause ?? error, code: error.code, requestId }, error.message)
    if (response.headersSent) {
      response.destroy()
      return
    }
    if (status === 503) response.setHeader('Retry-After', '2')
    const retryAfter = error.details?.['retryAfterSeconds']
    if (typeof retryAfter === 'number') response.setHeader('Retry-After', String(Math.ceil(retryAfter)))
    response.status(status).json(errorBody(error, requestId))
  }
}
