import type { Duplex } from 'node:stream'
import ssh2, { type Client, type ClientChannel, type PseudoTerminal } from 'ssh2'
import { fingerprintOf } from './host-keys.js'

/** What came of one try to sign in. Only `open` leaves anything open. */
export type SshAttempt =
  | { outcome: 'open'; client: Client; fingerprint: string }
  /** Another host key than the expected one; nothing was sent to it. */
  | { outcome: 'other-key'; fingerprint: string }
  /** It does not know our key. */
  | { outcome: 'refused' }
  | { outcome: 'unreachable'; reason: string }

export interface SshAttemptOptions {
  /** Used up, whatever comes of it. */
  stream: Duplex
  user: string
  privateKey: string
  /** Null: whatever it is. */
  expected: string | null
  /** Until the server says its first word, and from there until we are signed in. */
  greetMs: number
  handshakeMs: number
  signal: AbortSignal
}

/** Signs in with our key and with nothing else. Never rejects. */
export function signIn(options: SshAttemptOptions): Promise<SshAttempt> {
  const { stream, expected, signal } = options
  const client = new ssh2.Client()
  let fingerprint = ''
  let isOther = false
  return new Promise((resolve) => {
    const give = () => fail({ outcome: 'unreachable', reason: 'given up' })
    const silent = () => fail({ outcome: 'unreachable', reason: 'nobody answered' })
    const greeting = setTimeout(silent, options.greetMs)
    stream.once('data', () => clearTimeout(greeting))
    const settle = (attempt: SshAttempt) => {
      clearTimeout(greeting)
      signal.removeEventListener('abort', give)
      resolve(attempt)
    }
    const fail = (attempt: SshAttempt) => {
      client.destroy()
      stream.destroy()
      settle(attempt)
    }
    client.on('error', (error) => {
      if (isOther) return fail({ outcome: 'other-key', fingerprint })
      if (error.level === 'client-authentication') return fail({ outcome: 'refused' })
      fail({ outcome: 'unreachable', reason: error.message })
    })
    client.on('close', () => fail({ outcome: 'unreachable', reason: 'the connection was closed' }))
    client.on('ready', () => settle({ outcome: 'open', client, fingerprint }))
    signal.addEventListener('abort', give)
    if (signal.aborted) return give()
    client.connect({
      sock: stream,
      username: options.user,
      privateKey: options.privateKey,
      readyTimeout: options.greetMs + options.handshakeMs,
      authHandler: ['publickey'],
      hostVerifier(key) {
        fingerprint = fingerprintOf(key)
        isOther = expected !== null && fingerprint !== expected
        return !isOther
      },
    })
  })
}

/** Opens a shell in a terminal of this size. Rejects when the guest gives none. */
export function openShell(client: Client, size: { columns: number; rows: number }): Promise<ClientChannel> {
  const terminal: PseudoTerminal = { term: 'xterm-256color', cols: size.columns, rows: size.rows }
  return new Promise((resolve, reject) => {
    const gone = () => reject(new Error('the connection was closed'))
    client.on('close', gone)
    client.shell(terminal, (error, channel) => (error ? reject(error) : resolve(channel)))
  })
}
