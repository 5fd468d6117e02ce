import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { subjectOf } from './auth.js'
import type { Services } from './services.js'

/** Who is asking is settled here; Origin, ticket and permission by the gateway; all before 101. */
export async function upgradeConsole(
  services: Services,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): Promise<void> {
  if (!services.lab) {
    socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    return
  }
  const subject = await subjectOf(services, request).catch(() => null) // no database, no new console
  const settled = subject?.mustChangePassword === true ? null : subject
  await services.lab.consoles.handleUpgrade(request, socket, head, { subject: settled })
}
