import { SERIAL_REPLAY_BYTES, type SerialClientMessage, serialClientMessageSchema } from '../domain/console.js'
import type { NodeId } from '../domain/ids.js'
import { CUT_WORDS, type RecordingCut } from '../domain/recording.js'
import type { NodeEngine } from '../hosts/engine.js'
import type { Logger } from '../system/log.js'
import type { EndCause } from './node-running.js'
import { followLine, type LineRecorder } from './recording/line-recorder.js'
import type { RunningText } from './recording/recordings.js'
import { createSerialControl } from './serial-control.js'
import { openSerialLine } from './serial-line.js'
import { replayOf } from './serial-replay.js'
import { createSerialViewer, type SerialViewer } from './serial-viewer.js'
import type { ConsoleSession } from './session.js'
import { POLICY_VIOLATION } from './viewer-socket.js'

/**
 * All viewers of one node's serial line. Opened by the first viewer and kept for a while after the last: QEMU keeps the
 * log by itself, so nothing is lost while nobody looks, and a thousand running nodes cost no memory here.
 */
export interface SerialHub {
  /** Serves this session until its socket closes. */
  join(session: ConsoleSession): void
  /** The engine says that the node has ended: its last bytes may still be on their way. */
  nodeEnded(): void
  close(): void
}

export interface SerialHubOptions {
  engine: NodeEngine
  nodeId: NodeId
  log: Logger
  /** How long the stream may stay away while the node runs. */
  patienceMs: number
  /** How long the line is kept without viewers. */
  lingerMs: number
  /** Who writes, or a size, has changed. */
  onChange: () => void
  /** Control was taken or handed back by this viewer, and went to another. */
  onControl: (session: ConsoleSession, what: 'take-control' | 'release-control') => void
  /** This viewer's line has ended. */
  endSession: (session: ConsoleSession, cause: EndCause) => void
  /** Begins to record what the line says; asked when the first viewer comes who was told that it is recorded. */
  record?: (onCut: (cut: RecordingCut) => void) => RunningText
  /** Nothing of this hub is left; another may be opened. */
  onClosed: () => void
}

const LAST_BYTES_MS = 300

export function createSerialHub(options: SerialHubOptions): SerialHub {
  const { engine, nodeId, log } = options
  const viewers = new Map<string, SerialViewer>()
  const control = createSerialControl()
  let pumping = false
  let lingering: NodeJS.Timeout | undefined
  const heldBack = new Set<ConsoleSession>()
  let closed = false
  let recorder: LineRecorder | undefined
  /** Why it records no more although it was said. */
  let recordingCut: RecordingCut | undefined

  const line = openSerialLine({
    engine,
    nodeId,
    log,
    patienceMs: options.patienceMs,
    onOutput: pumpSoon,
    onDrain() {
      for (const session of heldBack) session.socket.resume()
      heldBack.clear()
    },
    onEnd: end,
  })

  /** Once for all that arrives in this turn of the event loop. */
  function pumpSoon(): void {
    if (pumping) return
    pumping = true
    setImmediate(() => {
      pumping = false
      for (const viewer of viewers.values()) viewer.pump()
      recorder?.pump()
    })
  }

  function end(cause: EndCause): void {
    const ending = [...viewers.values()]
    viewers.clear()
    close()
    for (const viewer of ending) {
      viewer.pump()
      options.endSession(viewer.session, cause)
    }
  }

  function close(): void {
    if (closed) return
    closed = true
    clearTimeout(lingering)
    stopRecording()
    line.close()
    options.onClosed()
  }

  async function beginWhenReady(viewer: SerialViewer): Promise<void> {
    await line.ready
    if (!viewers.has(viewer.session.id)) return
    const isCut = line.history.end >= SERIAL_REPLAY_BYTES
    viewer.begin(replayOf(line.history.tail(SERIAL_REPLAY_BYTES), isCut))
    if (viewer.session.recorded) startRecording(viewer.session)
    options.onChange()
  }

  /** From here on: what the line said before was not announced. */
  function startRecording(session: ConsoleSession): void {
    if (recordingCut !== undefined) return tellCut(session, recordingCut)
    if (!recorder && options.record) recorder = followLine(line.history, options.record(cutRecording))
    recorder?.joined(session)
  }

  function stopRecording(): void {
    recorder?.end()
    recorder = undefined
    recordingCut = undefined
  }

  function cutRecording(cut: RecordingCut): void {
    recordingCut = cut
    for (const { session } of viewers.values()) if (session.recorded) tellCut(session, cut)
  }

  function tellCut({ socket }: ConsoleSession, cut: RecordingCut): void {
    socket.tell({ type: 'recorded', recorded: false, reason: CUT_WORDS[cut] })
  }

  function leave(session: ConsoleSession): void {
    if (!viewers.delete(session.id)) return
    recorder?.left(session)
    if (![...viewers.values()].some((viewer) => viewer.session.recorded)) stopRecording()
    control.leave(session.id)
    heldBack.delete(session)
    showWriter()
    if (viewers.size === 0) lingering = setTimeout(close, options.lingerMs).unref()
  }

  function showWriter(): void {
    for (const { session } of viewers.values()) {
      session.writer = session.id === control.writerId
      if (session.writer && session.size) recorder?.resized(session.size)
    }
    options.onChange()
  }

  function typed(session: ConsoleSession, bytes: Buffer): void {
    if (session.id !== control.writerId || line.type(bytes)) return
    heldBack.add(session)
    session.socket.pause()
  }

  function heard(viewer: SerialViewer, text: string): void {
    const { session } = viewer
    const message = parseMessage(text)
    switch (message?.type) {
      case 'ack':
        return viewer.acknowledge(message.bytes)
      case 'resize':
        session.size = { columns: message.columns, rows: message.rows }
        if (session.writer) recorder?.resized(session.size)
        return options.onChange()
      case 'take-control':
      case 'release-control':
        return changeControl(session, message.type)
      case undefined:
        return session.socket.close(POLICY_VIOLATION, 'not a message of the serial console')
    }
  }

  function changeControl(session: ConsoleSession, what: 'take-control' | 'release-control'): void {
    const before = control.writerId
    if (what === 'take-control') control.take(session.id)
    else control.release(session.id)
    if (control.writerId === before) return
    showWriter()
    options.onControl(session, what)
  }

  return {
    join(session) {
      clearTimeout(lingering)
      const viewer = createSerialViewer(session, line.history)
      viewers.set(session.id, viewer)
      control.join({ id: session.id, userId: session.subject.userId, mode: session.mode })
      showWriter()
      session.socket.listen({
        bytes: (chunk) => typed(session, chunk),
        text: (text) => heard(viewer, text),
        closed: () => leave(session),
      })
      void beginWhenReady(viewer)
    },
    nodeEnded: () => void setTimeout(() => end('node-stopped'), LAST_BYTES_MS).unref(),
    close,
  }
}

function parseMessage(text: string): SerialClientMessage | undefined {
  try {
    return serialClientMessageSchema.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
