// As much of guacamole-lite 1.2.0 as we use; the package has no types of its own.
declare module 'guacamole-lite' {
  import { EventEmitter } from 'node:events'

  /** Of a `ws` socket, what the library asks of its viewer. */
  export interface LiteSocket extends EventEmitter {
    readonly OPEN: number
    readonly CLOSED: number
    readonly CLOSING: number
    readonly readyState: number
    send(text: string, options: object, done: (error?: Error) => void): void
    close(code: number, reason: string): void
  }

  interface LiteOptions {
    maxInactivityTime: number
    crypt: { cypher: string; key: Buffer }
    log: { level: string | number; stdLog: (...parts: unknown[]) => void; errorLog: (...parts: unknown[]) => void }
  }

  export default class Server extends EventEmitter {
    constructor(
      webSocket: { noServer: true; port: undefined },
      guacd: { host: string; port: number },
      options: LiteOptions,
    )
    sigTermHandler: () => void
    sigIntHandler: () => void
    /** The token is read from the query of `request.url`. */
    newConnection(socket: LiteSocket, request: { url: string }): Promise<void>
    close(): void
  }
}

declare module 'guacamole-lite/lib/ClientConnection.js' {
  import type { EventEmitter } from 'node:events'
  import type { Socket } from 'node:net'
  import type { LiteSocket } from 'guacamole-lite'

  export interface LiteGuacdClient extends EventEmitter {
    guacdConnection: Socket
    parser: { receive(text: string): void }
    send(text: string, afterOpened?: boolean): void
    close(error?: Error): void
  }

  export default class ClientConnection extends EventEmitter {
    readonly STATE_OPEN: number
    state: number
    webSocket: LiteSocket
    guacdClient?: LiteGuacdClient
    connect(guacd: { host: string; port: number }): void
    close(error?: Error): void
  }
}
