import { type Duplex, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Layout } from '../../domain/layout.js'
import { CUT_WORDS, type RecordingCut } from '../../domain/recording.js'
import type { NodeEngine } from '../../hosts/engine.js'
import type { Logger } from '../../system/log.js'
import { openTarget } from '../console-target.js'
import { causeOfEnd, type EndCause, isNotFound } from '../node-running.js'
import { createRfbFilter, type RfbFilter } from '../rfb-filter.js'
import type { RunningScreen } from '../recording/recordings.js'
import type { ConsoleSession } from '../session.js'
import type { HandedViewer } from './gateway.js'
import { openDoor } from './vnc-door.js'

export interface GuacamoleRelayOptions {
  engine: NodeEngine
  layout: Layout
  log: Logger
  session: ConsoleSession
  viewer: HandedViewer
  onText: (text: string) => void
  /** Begins a recording of what this viewer is shown. */
  record?: (session: ConsoleSession, onCut: (cut: RecordingCut) => void) => RunningScreen
  /** guacd did not come to the screen that it was told of. */
  onStranded: () => void
  endSession: (session: ConsoleSession, cause: EndCause) => void
  onClosed: () => void
}

export interface GuacamoleRelay {
  /** guacd has ended it. */
  ended(reason: string): void
}

/**
 * One viewer's screen through guacd: guacd's connection to the node's VNC server goes through us and through the same
 * filter as a direct one. So only the writer types, whatever guacd lets through, and control changes hands without a new
 * connection. guacd's own `read-only` is set besides for those who only watch.
 */
export function relayThroughGuacd(options: GuacamoleRelayOptions): GuacamoleRelay {
  const { engine, log, session, viewer, endSession } = options
  const { nodeId } = session
  const gone = new AbortController()
  const filter = createRfbFilter(() => session.writer)
  /** guacd was told of the screen, and has not come yet. */
  let isAwaited = false

  viewer.listen({
    bytes: () => undefined,
    text: options.onText,
    closed() {
      gone.abort()
      options.onClosed()
    },
  })
  const { id: viewerId, mode, recorded } = session
  viewer.tell({ type: 'hello', viewerId, mode, replayBytes: 0, recorded })
  session.isGreeted = true
  connect().catch((error: unknown) => {
    log.debug({ err: error, nodeId }, 'the screen console through guacd has ended')
    return finish(isNotFound(error) ? 'node-stopped' : undefined)
  })

  async function connect(): Promise<void> {
    const server = await openTarget(await engine.console(nodeId, 'screen'))
    server.on('error', () => server.destroy())
    gone.signal.addEventListener('abort', () => server.destroy())
    const door = await openDoor(options.layout)
    gone.signal.addEventListener('abort', () => door.shut())
    if (gone.signal.aborted) return door.shut()
    const recording = session.recorded ? options.record?.(session, cut) : undefined
    if (recording) viewer.whenClosed(() => recording.end())
    const screen = { path: door.path, readOnly: mode === 'view', recorded: recording !== undefined }
    viewer.handOver(screen, (instructions) => recording?.write(instructions))
    isAwaited = true
    const guacd = await door.visitor
    if (!guacd) throw new Error('guacd did not come')
    isAwaited = false
    gone.signal.addEventListener('abort', () => guacd.destroy())
    await joined(guacd, server, filter)
    throw new Error('the screen has ended')
  }

  function cut(why: RecordingCut): void {
    viewer.tell({ type: 'recorded', recorded: false, reason: CUT_WORDS[why] })
  }

  /** Both ways, neither read faster than the other takes it; until one of them ends. */
  async function joined(guacd: Duplex, server: Duplex, through: RfbFilter): Promise<void> {
    const typed = new Transform({
      transform: (chunk: Buffer, _encoding, done) => pass(() => through.fromClient(chunk), done),
    })
    const seen = new Transform({
      transform: (chunk: Buffer, _encoding, done) =>
        pass(() => {
          through.fromServer(chunk)
          return chunk
        }, done),
    })
    session.writerChanged = () => {
      const letGo = through.changed()
      if (letGo.length > 0 && !typed.destroyed) typed.push(letGo)
    }
    const ways = [pipeline(guacd, typed, server), pipeline(server, seen, guacd)]
    await Promise.race(ways).finally(() => {
      guacd.destroy()
      server.destroy()
    })
    await Promise.allSettled(ways)
  }

  async function finish(known?: EndCause): Promise<void> {
    if (gone.signal.aborted) return
    if (isAwaited) options.onStranded()
    isAwaited = false
    endSession(session, known ?? (await causeOfEnd(engine, nodeId, gone.signal)))
  }

  return {
    ended(reason) {
      log.info({ nodeId, reason }, 'guacd has ended a screen console')
      void finish()
    },
  }
}

function pass(step: () => Buffer, done: (error: Error | null, chunk?: Buffer) => void): void {
  try {
    const passed = step()
    if (passed.length > 0) done(null, passed)
    else done(null)
  } catch (error) {
    done(error instanceof Error ? error : new Error(String(error)))
  }
}
