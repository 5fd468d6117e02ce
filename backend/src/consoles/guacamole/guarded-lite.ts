import { randomBytes } from 'node:crypto'
import Server, { type LiteSocket } from 'guacamole-lite'
import ClientConnection from 'guacamole-lite/lib/ClientConnection.js'
import type { ScreenForGuacd } from './messages.js'
import { mintToken, TOKEN_CYPHER } from './token.js'

/** guacamole-lite with its known faults closed (docs/adr/0014-guacamole.md); nothing else of ours imports it. */
export interface GuardedLite {
  /** Serves a viewer over `socket` from guacd's connection of its own to `screen`. */
  serve(socket: LiteSocket, screen: ScreenForGuacd): void
}

/** guacd cuts a silent client after 15 s; a hidden tab is silent and well. */
const NOP_INTERVAL_MS = 4000
const NOP = '3.nop;'

export function createGuardedLite(guacd: { host: string; port: number }, log: (message: string) => void): GuardedLite {
  guardConnections()
  const key = randomBytes(32)
  const lite = new Server({ noServer: true, port: undefined }, guacd, {
    maxInactivityTime: 0, // ours is the viewer's pong
    crypt: { cypher: TOKEN_CYPHER, key },
    log: { level: 'ERRORS', stdLog: () => undefined, errorLog: (...parts) => log(parts.map(String).join(' ')) },
  })
  // They keep the process from ending, and do not end it.
  process.removeListener('SIGTERM', lite.sigTermHandler)
  process.removeListener('SIGINT', lite.sigIntHandler)
  return {
    serve(socket, screen) {
      const token = encodeURIComponent(mintToken(key, screen))
      lite.newConnection(socket, { url: `/?token=${token}` }).catch((error: unknown) => {
        log(`a viewer could not be served: ${String(error)}`)
        socket.close(1011, 'failed')
      })
    },
  }
}

/**
 * Guards for every connection of the library: one that was refused contacts no guacd (it would, and then end the process);
 * letters that are cut in two between packets stay whole; what can't be parsed ends its own viewer only; guacd is not read
 * faster than the viewer takes it.
 */
function guardConnections(): void {
  // Called with its own `this` below.
  // oxlint-disable-next-line typescript/unbound-method
  const { connect } = ClientConnection.prototype
  ClientConnection.prototype.connect = function guarded(guacd): void {
    if (this.state !== this.STATE_OPEN) return
    connect.call(this, guacd)
    const client = this.guacdClient
    if (!client) return
    client.guacdConnection.setEncoding('utf8')
    client.guacdConnection.setNoDelay(true)
    const receive = client.parser.receive.bind(client.parser)
    client.parser.receive = (text) => {
      try {
        receive(text)
      } catch (error) {
        this.close(error instanceof Error ? error : new Error(String(error)))
      }
    }
    const nop = setInterval(() => client.send(NOP, true), NOP_INTERVAL_MS)
    client.on('close', () => clearInterval(nop))
    this.webSocket.on('full', () => client.guacdConnection.pause())
    this.webSocket.on('drained', () => client.guacdConnection.resume())
  }
}
