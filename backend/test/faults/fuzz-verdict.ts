import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import { ERROR_CODES, type ErrorCode } from '../../src/domain/error.js'
import type { RawAnswer } from './fuzz-connection.js'
import type { Operation } from './fuzz-schema.js'

/** What is wrong with an answer to a malformed request; undefined: nothing. */
export function faultOf(answer: RawAnswer, request: { method: string; target: string; operation: Operation }) {
  if (answer.status === 0) return 'what was answered is no HTTP'
  if (answer.status < 400) return undefined
  const code = request.method === 'HEAD' ? undefined : codeOf(answer)
  if (answer.status >= 500) return serverFault(answer.status, code, request.operation, isIntact(request))
  // HEAD has no body, socket.io's long polling and the file server of the page are no API; 431 is said by Node itself.
  if (request.method === 'HEAD' || answer.status === 431 || /^\/(?:socket\.io|assets)\//.test(request.target))
    return undefined
  if (code === undefined)
    return `${answer.status} without the shape of an error: ${answer.body.toString().slice(0, 200)}`
  if (code in ERROR_CODES) return undefined
  return `${answer.status} with the unknown code ${code}`
}

/** The one failure that is never expected, and every other that the route does not announce. */
function serverFault(status: number, code: string | undefined, operation: Operation, intact: boolean) {
  if (code === undefined) return `${status} without a code`
  if (code === 'internal') return `${status} internal`
  const announced = intact && (operation.codes.get(status) ?? []).includes(code)
  return announced ? undefined : `${status} ${code}, which ${operation.method} ${operation.path} does not announce`
}

/** Whether the address still is one of the route it was made from. */
function isIntact({ method, target, operation }: { method: string; target: string; operation: Operation }): boolean {
  const path = target.split('?', 1)[0] ?? ''
  const pattern = operation.path.replaceAll(/[.]/g, String.raw`\.`).replaceAll(/\{\w+\}/g, '[^/]+')
  return method === operation.method && new RegExp(`^${pattern}/?$`, 'i').test(path)
}

/** The error's code when the body has the shape that every error has. */
export function codeOf(answer: RawAnswer): ErrorCode | undefined {
  try {
    const body = JSON.parse(unpacked(answer).toString('utf8')) as { error?: { code?: unknown; message?: unknown } }
    const { code, message } = body.error ?? {}
    return typeof code === 'string' && typeof message === 'string' && message !== '' ? (code as ErrorCode) : undefined
  } catch {
    return undefined // no JSON: no shape
  }
}

function unpacked({ headers, body }: RawAnswer): Buffer {
  const encoding = headers.get('content-encoding')
  if (encoding === 'gzip') return gunzipSync(body)
  if (encoding === 'br') return brotliDecompressSync(body)
  return encoding === 'deflate' ? inflateSync(body) : body
}
