import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { consoleOriginAllowed, subjectOf } from './auth.js'
import type { Services } from './services.js'

/** Who is asking is settled here; Origin, ticket and permission by the gateway; all before 101. */
export async function upgradeConsole(
  services: Services,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  if (!consoleOriginAllowed(services, request)) return refuse(socket, '403 Forbidden')
  const subject = await subjectOf(services, request).catch(() => null) // no database, no new console
  if (!subject || subject.mustChangePassword) return refuse(socket, '401 Unauthorized')
  await services.consoles.handleUpgrade(request, socket, head, { subject })
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}
