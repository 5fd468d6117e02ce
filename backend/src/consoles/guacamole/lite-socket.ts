import { EventEmitter } from 'node:events'
import type { LiteSocket } from 'guacamole-lite'
import type { WebSocket } from 'ws'
import { instructionsForGuacd } from './instructions.js'
import type { ScreenRecorder } from './screen-recorder.js'

export interface ViewerEvents {
  /** A text message that is not Guacamole's. */
  text(message: string): void
  /** The library has finished with this viewer. It is still connected. */
  ended(reason: string): void
  /** The viewer sent what no client of ours sends. */
  violated(): void
}

/** Above this much unread picture guacd is not read; below a quarter of it, it is again. */
const MAX_PICTURE_BYTES = 4 * 1024 * 1024

/**
 * A viewer's WebSocket as guacamole-lite sees it. Guacamole's instructions begin with a digit and our own messages are
 * JSON objects, so both share it. The library can't close the viewer: it is the backend that knows why.
 */
export function liteSocket(ws: WebSocket, events: ViewerEvents, recorder?: ScreenRecorder): LiteSocket {
  const emitter = new EventEmitter()
  let isFull = false
  let isEnded = false
  let reason = 'guacd has ended the connection'

  function sent(): void {
    if (!isFull || ws.bufferedAmount > MAX_PICTURE_BYTES / 4) return
    isFull = false
    emitter.emit('drained')
  }

  ws.on('message', (data: Buffer, isBinary: boolean) => {
    const message = isBinary ? '' : data.toString('utf8')
    if (message.startsWith('{')) return events.text(message)
    const passed = isBinary ? undefined : instructionsForGuacd(message)
    if (passed === undefined) return events.violated()
    if (passed === '' || isEnded) return
    recorder?.sent(passed)
    emitter.emit('message', passed)
  })
  ws.once('close', () => emitter.emit('close'))

  Object.defineProperty(emitter, 'readyState', { get: () => (isEnded ? ws.CLOSED : ws.readyState) })
  return Object.assign(emitter as EventEmitter & Pick<LiteSocket, 'readyState'>, {
    OPEN: ws.OPEN,
    CLOSED: ws.CLOSED,
    CLOSING: ws.CLOSING,
    send(text: string, options: object, done: (error?: Error) => void) {
      if (text.startsWith('5.error,')) reason = text.slice(0, 200)
      recorder?.shown(text)
      ws.send(text, options, (error) => {
        sent()
        done(error ?? undefined)
      })
      if (isFull || ws.bufferedAmount <= MAX_PICTURE_BYTES) return
      isFull = true
      emitter.emit('full')
    },
    close() {
      if (isEnded) return
      isEnded = true
      events.ended(reason)
    },
  })
}
