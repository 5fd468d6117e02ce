import type { IncomingMessage } from 'node:http'
import type { Config } from '../config.js'

/** The peer's address; behind a trusted proxy the last one that the proxy added. */
export function addressOf(config: Pick<Config, 'trustProxy'>, request: IncomingMessage): string {
  const forwarded = request.headers['x-forwarded-for']
  if (config.trustProxy && typeof forwarded === 'string') {
    const last = forwarded.split(',').at(-1)?.trim()
    if (last) return last.slice(0, 64)
  }
  return request.socket.remoteAddress ?? 'unknown'
}
