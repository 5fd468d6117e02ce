import type { SerialClientMessage, SerialServerMessage, Viewer } from '@domain/console.js'
import { SERIAL_WINDOW_BYTES } from '@domain/console-codes.js'

/** Where a serial session draws; xterm's `write` is one. `drawn` is called when these bytes have been worked in. */
export interface SerialDisplay {
  write: (bytes: Uint8Array, drawn: () => void) => void
}

export interface SerialSessionEvents {
  /** The console itself has answered: from here on it is live. */
  onHello: (viewerId: string) => void
  onViewers: (viewers: readonly Viewer[]) => void
  /** The display was too slow and missed this many bytes. */
  onSkipped: (bytes: number) => void
}

/** One serial console over one socket. */
export interface SerialSession {
  /**
   * Sends what the terminal wants to say. While history is drawn again this is dropped: those are the terminal's answers
   * to questions that the guest asked long ago.
   */
  type: (bytes: Uint8Array) => void
  tell: (message: SerialClientMessage) => void
  /** Whether what is typed here reaches the guest. */
  readonly isWriter: boolean
  detach: () => void
}

/** Small enough that the page stays quick while a flood is drawn. */
const PIECE_BYTES = 32 * 1024
/** The server goes on long before its window is full. */
const ACK_BYTES = SERIAL_WINDOW_BYTES / 16

export function attachSerial(socket: WebSocket, display: SerialDisplay, events: SerialSessionEvents): SerialSession {
  let viewerId = ''
  let isWriter = false
  let receivedBytes = 0
  let drawnBytes = 0
  let acknowledgedBytes = 0
  let replayBytes = 0
  let detached = false
  socket.binaryType = 'arraybuffer'

  function tell(message: SerialClientMessage): void {
    if (!detached && socket.readyState === socket.OPEN) socket.send(JSON.stringify(message))
  }

  function draw(bytes: Uint8Array): void {
    receivedBytes += bytes.length
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, at + PIECE_BYTES)
      display.write(piece, () => drawn(piece.length))
    }
  }

  /** Acknowledges in steps, and once more when everything is drawn. */
  function drawn(bytes: number): void {
    drawnBytes += bytes
    const isDue = drawnBytes - acknowledgedBytes >= ACK_BYTES || drawnBytes === receivedBytes
    if (!isDue || drawnBytes === acknowledgedBytes) return
    acknowledgedBytes = drawnBytes
    tell({ type: 'ack', bytes: drawnBytes })
  }

  function hear(message: SerialServerMessage): void {
    switch (message.type) {
      case 'hello':
        viewerId = message.viewerId
        replayBytes = message.replayBytes
        return events.onHello(viewerId)
      case 'viewers':
        isWriter = message.viewers.some(({ id, writer }) => id === viewerId && writer)
        return events.onViewers(message.viewers)
      case 'skipped':
        return events.onSkipped(message.bytes)
      case 'node-stopped':
        return // the close code says so too
    }
  }

  function onMessage({ data }: MessageEvent<ArrayBuffer | string>): void {
    if (typeof data === 'string') hear(JSON.parse(data) as SerialServerMessage) // from our own server
    else draw(new Uint8Array(data))
  }

  socket.addEventListener('message', onMessage)
  return {
    type(bytes) {
      const isReplaying = drawnBytes < replayBytes
      if (isWriter && !isReplaying && !detached && socket.readyState === socket.OPEN) socket.send(bytes.slice())
    },
    tell,
    get isWriter() {
      return isWriter
    },
    detach() {
      detached = true
      socket.removeEventListener('message', onMessage)
    },
  }
}
