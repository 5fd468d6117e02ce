import { SERIAL_WINDOW_BYTES } from '../../domain/console.js'
import { CUT_WORDS, type RecordingCut } from '../../domain/recording.js'
import type { RunningText } from '../recording/recordings.js'
import type { ConsoleSession } from '../session.js'

/** What one SSH session shows: to its viewer, who acknowledges what was drawn, and to its recording. */
export interface SshOutput {
  /** False: the viewer has enough for now, until `onRoom`. */
  show(bytes: Buffer): boolean
  /** The viewer has drawn this many bytes in all. */
  acknowledge(totalBytes: number): void
  resized(size: { columns: number; rows: number }): void
  end(): void
}

export interface SshOutputOptions {
  session: ConsoleSession
  /** Begins to record; asked when the session is to be recorded. */
  record: ((onCut: (cut: RecordingCut) => void) => RunningText) | undefined
  onRoom: () => void
}

export function createSshOutput({ session, record, onRoom }: SshOutputOptions): SshOutput {
  const { socket } = session
  let sentBytes = 0
  let drawnBytes = 0
  const running = session.recorded ? record?.(tellCut) : undefined
  running?.joined(session)

  function tellCut(cut: RecordingCut): void {
    socket.tell({ type: 'recorded', recorded: false, reason: CUT_WORDS[cut] })
  }

  const hasRoom = () => Math.max(sentBytes - drawnBytes, socket.waitingBytes) < SERIAL_WINDOW_BYTES

  return {
    show(bytes) {
      running?.tape.output(bytes)
      sentBytes += bytes.length
      socket.send(bytes)
      return hasRoom()
    },
    acknowledge(totalBytes) {
      drawnBytes = Math.min(sentBytes, Math.max(drawnBytes, totalBytes))
      if (hasRoom()) onRoom()
    },
    resized: (size) => running?.tape.resized(size),
    end: () => running?.end(),
  }
}
