import { SERIAL_WINDOW_BYTES } from '../domain/console.js'
import { fromBoundary } from './serial-replay.js'
import type { SerialHistory } from './serial-history.js'
import type { ConsoleSession } from './session.js'

/** One viewer's place in a serial line's history. It holds no bytes of its own, so a slow one costs nothing. */
export interface SerialViewer {
  readonly session: ConsoleSession
  /** Sends the replay; live output follows from the history's end of this moment on. */
  begin(replay: Buffer): void
  /** Sends what there is, as far as the window allows. What has left the history meanwhile is skipped, and said so. */
  pump(): void
  /** The viewer has drawn this many bytes in all. */
  acknowledge(totalBytes: number): void
}

const MAX_MESSAGE_BYTES = 256 * 1024

export function createSerialViewer(session: ConsoleSession, history: SerialHistory): SerialViewer {
  const { socket } = session
  /** Undefined before the replay. */
  let position: number | undefined
  let sentBytes = 0
  let drawnBytes = 0

  function send(bytes: Buffer): void {
    sentBytes += bytes.length
    socket.send(bytes, pump)
  }

  /** The oldest whole line that is still held. */
  function skipTo(start: number): number {
    const held = history.read(start, MAX_MESSAGE_BYTES)
    return start + held.length - fromBoundary(held).length
  }

  function pump(): void {
    while (position !== undefined && socket.isOpen) {
      const room = SERIAL_WINDOW_BYTES - Math.max(sentBytes - drawnBytes, socket.waitingBytes)
      if (room <= 0) return
      if (position < history.start) {
        const next = skipTo(history.start)
        socket.tell({ type: 'skipped', bytes: next - position })
        position = next
      }
      const chunk = history.read(position, Math.min(room, MAX_MESSAGE_BYTES))
      if (chunk.length === 0) return
      position += chunk.length
      send(chunk)
    }
  }

  return {
    session,
    begin(replay) {
      position = history.end
      const { id: viewerId, mode, recorded } = session
      socket.tell({ type: 'hello', viewerId, mode, replayBytes: replay.length, recorded })
      session.isGreeted = true
      send(replay)
    },
    pump,
    acknowledge(totalBytes) {
      drawnBytes = Math.min(sentBytes, Math.max(drawnBytes, totalBytes))
      pump()
    },
  }
}
