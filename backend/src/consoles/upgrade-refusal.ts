import type { Duplex } from 'node:stream'
import { ERROR_CODES, type ErrorCode } from '../domain/error.js'

const REASONS: Readonly<Record<number, string>> = { 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found' }

/** Answers a WebSocket upgrade with a plain HTTP error and ends the connection: no 101 was sent. */
export function refuseUpgrade(socket: Duplex, code: ErrorCode, message: string): void {
  const { status } = ERROR_CODES[code]
  const body = JSON.stringify({ error: { code, message } })
  const head = [
    `HTTP/1.1 ${status} ${REASONS[status] ?? 'Refused'}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}
