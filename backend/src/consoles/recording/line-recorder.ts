import type { SerialHistory } from '../serial-history.js'
import type { ConsoleSession } from '../session.js'
import type { RunningText } from './recordings.js'

/** Follows a line's history into a recording, like a viewer that is always quick enough. */
export interface LineRecorder {
  /** Takes what is new. Once in each turn in which something came, so that nothing has left the history by then. */
  pump(): void
  joined(session: ConsoleSession): void
  left(session: ConsoleSession): void
  resized(size: { columns: number; rows: number }): void
  /** Takes what is left, and ends the recording. */
  end(): void
}

const PIECE_BYTES = 64 * 1024

/** Begins at the history's end of this moment. */
export function followLine(history: SerialHistory, running: RunningText): LineRecorder {
  const { tape } = running
  const present = new Set<ConsoleSession>()
  let position = history.end

  function pump(): void {
    position = Math.max(position, history.start)
    for (;;) {
      const chunk = history.read(position, PIECE_BYTES)
      if (chunk.length === 0) return
      position += chunk.length
      tape.output(chunk)
    }
  }

  return {
    pump,
    joined(session) {
      present.add(session)
      running.joined(session)
      tape.mark(`${session.subject.login} came${session.mode === 'view' ? ', and only watches' : ''}`)
      if (session.writer && session.size) tape.resized(session.size)
    },
    left(session) {
      if (!present.delete(session)) return
      pump()
      tape.mark(`${session.subject.login} left`)
    },
    resized: (size) => tape.resized(size),
    end() {
      pump()
      running.end()
    },
  }
}
