import type { WebSocket } from 'ws'
import type { SerialServerMessage } from '../domain/console.js'

export interface ViewerSocketEvents {
  bytes(chunk: Buffer): void
  text(message: string): void
  /** Once, whoever ended it. */
  closed(): void
}

/** One console's WebSocket, with bounds: what is not read by the other side is not kept for ever. */
export interface ViewerSocket {
  readonly isOpen: boolean
  /** Bytes that wait for the network. */
  readonly waitingBytes: number
  send(bytes: Buffer, sent?: () => void): void
  /** A viewer that does not even read these is dropped. */
  tell(message: SerialServerMessage): void
  /** Nothing passes in either direction from here on; the connection is gone within a second. */
  close(code: number, reason: string): void
  /** Stops reading what the viewer sends, so that the network holds them back. */
  pause(): void
  resume(): void
  listen(events: ViewerSocketEvents): void
  /** Called once when the connection is gone, a moment after `closed` where it was we who ended it. */
  whenClosed(then: () => void): void
}

const PING_INTERVAL_MS = 20_000
const CLOSE_TIMEOUT_MS = 800
const MAX_WAITING_BYTES = 8 * 1024 * 1024

/** Close code for what no client of ours would send. */
export const POLICY_VIOLATION = 1008

export function viewerSocket(ws: WebSocket, pingIntervalMs = PING_INTERVAL_MS): ViewerSocket {
  let events: ViewerSocketEvents | undefined
  let isClosing = false
  let answered = true

  const keepAlive = setInterval(() => {
    if (ws.isPaused) return // a pong could not be read either
    if (!answered) return ws.terminate()
    answered = false
    ws.ping()
  }, pingIntervalMs)
  keepAlive.unref()

  ws.on('pong', () => (answered = true))
  ws.on('ping', (data: Buffer) => {
    if (ws.bufferedAmount < MAX_WAITING_BYTES) ws.pong(data)
    else ws.terminate()
  })
  ws.on('error', () => ws.terminate()) // a broken frame or connection; `close` follows
  ws.on('message', (data: Buffer, isBinary: boolean) => {
    if (isClosing) return
    if (isBinary) events?.bytes(data)
    else events?.text(data.toString('utf8'))
  })
  ws.on('close', () => {
    clearInterval(keepAlive)
    end()
  })

  function end(): void {
    isClosing = true
    const ending = events
    events = undefined
    ending?.closed()
  }

  const isOpen = () => !isClosing && ws.readyState === ws.OPEN

  return {
    get isOpen() {
      return isOpen()
    },
    get waitingBytes() {
      return ws.bufferedAmount
    },
    send(bytes, sent) {
      if (isOpen()) ws.send(bytes, () => sent?.())
    },
    tell(message) {
      if (!isOpen()) return
      if (ws.bufferedAmount > MAX_WAITING_BYTES) return ws.terminate()
      ws.send(JSON.stringify(message))
    },
    close(code, reason) {
      if (isClosing) return
      ws.resume() // the close frame of the other side must be read
      ws.close(code, reason)
      setTimeout(() => ws.terminate(), CLOSE_TIMEOUT_MS).unref()
      end()
    },
    pause: () => ws.pause(),
    resume: () => ws.resume(),
    listen(handlers) {
      events = handlers
      if (ws.readyState !== ws.OPEN) end()
    },
    whenClosed: (then) => void ws.once('close', then),
  }
}
