import type { IncomingMessage } from 'node:http'

/** The id that pino-http gave this request: in the log, in `X-Request-Id` and in every error. */
export function requestIdOf(request: IncomingMessage): string {
  return typeof request.id === 'string' ? request.id : ''
}
