// What is used here of ssh2, which brings no types of its own. By its README, version 1.17.

declare module 'ssh2' {
  import type { EventEmitter } from 'node:events'
  import type { Duplex } from 'node:stream'

  export interface ConnectConfig {
    sock: Duplex
    username: string
    privateKey: string
    /** Milliseconds for everything up to `ready`. */
    readyTimeout: number
    hostVerifier: (key: Buffer) => boolean
    /** Tried in this order; nothing else is. */
    authHandler: ('publickey' | 'none')[]
  }

  export interface PseudoTerminal {
    term: string
    cols: number
    rows: number
  }

  export interface ClientChannel extends Duplex {
    setWindow(rows: number, columns: number, height: number, width: number): void
    stderr: Duplex
    on(event: 'exit', listener: (code: number | null, signal?: string) => void): this
    on(event: 'data', listener: (chunk: Buffer) => void): this
    on(event: 'close' | 'drain' | 'end', listener: () => void): this
    on(event: 'error', listener: (error: Error) => void): this
  }

  export interface Client extends EventEmitter {
    connect(config: ConnectConfig): this
    shell(terminal: PseudoTerminal, callback: (error: Error | undefined, channel: ClientChannel) => void): this
    end(): this
    destroy(): this
    on(event: 'ready' | 'close', listener: () => void): this
    on(event: 'error', listener: (error: Error & { level?: string }) => void): this
  }

  export interface ServerChannel extends Duplex {
    exit(code: number): void
  }

  export interface ServerSession extends EventEmitter {
    on(event: 'pty', listener: (accept: () => void, reject: () => void, about: PseudoTerminal) => void): this
    on(
      event: 'window-change',
      listener: (accept: (() => void) | undefined, reject: unknown, about: PseudoTerminal) => void,
    ): this
    on(event: 'shell', listener: (accept: () => ServerChannel) => void): this
  }

  export interface AuthContext {
    username: string
    method: string
    key?: { algo: string; data: Buffer }
    signature?: Buffer
    /** What was signed. */
    blob?: Buffer
    accept(): void
    reject(methods?: string[]): void
  }

  export interface ServerConnection extends EventEmitter {
    on(event: 'authentication', listener: (context: AuthContext) => void): this
    on(event: 'session', listener: (accept: () => ServerSession) => void): this
    on(event: 'error' | 'close' | 'ready', listener: () => void): this
    end(): this
  }

  export interface ParsedKey {
    type: string
    comment: string
    getPublicSSH(): Buffer
    verify(data: Buffer, signature: Buffer): boolean | Error
  }

  export interface Server extends EventEmitter {
    /** Serves one connection over a stream. */
    injectSocket(stream: Duplex): void
  }

  const ssh2: {
    Client: new () => Client
    Server: new (config: { hostKeys: string[] }, onConnection: (connection: ServerConnection) => void) => Server
    utils: {
      generateKeyPairSync(type: 'ed25519', options: { comment: string }): { private: string; public: string }
      parseKey(key: string): Error | ParsedKey
    }
  }
  export default ssh2
}
