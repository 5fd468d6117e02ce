import type { Duplex } from 'node:stream'
import type { NodeEngine } from '../hosts/engine.js'
import type { Logger } from '../system/log.js'
import { openTarget } from './console-target.js'
import { type EndCause, isNotFound, isRunning, pause } from './node-running.js'
import { createRfbFilter, type RfbFilter, RfbViolation } from './rfb-filter.js'
import type { ConsoleSession } from './session.js'
import { POLICY_VIOLATION } from './viewer-socket.js'

export interface ScreenRelayOptions {
  engine: NodeEngine
  log: Logger
  session: ConsoleSession
  endSession: (session: ConsoleSession, cause: EndCause) => void
  onClosed: () => void
}

/** Above this much unread picture the server is not read; below a quarter of it, it is again. */
const MAX_PICTURE_BYTES = 4 * 1024 * 1024
const MAX_TYPED_BYTES = 64 * 1024
/** The engine may notice the end of a node a moment after its socket has closed. */
const NOTICE_MS = [0, 100, 300, 500]

/**
 * Raw RFB between a viewer and a connection of its own to the node's VNC server, through a filter that enforces `view`.
 * Neither side is read faster than the other takes it.
 */
export function relayScreen({ engine, log, session, endSession, onClosed }: ScreenRelayOptions): void {
  const { socket, nodeId } = session
  const filter = createRfbFilter(session.mode)
  const gone = new AbortController()
  let server: Duplex | undefined

  socket.listen({
    bytes: (chunk) => guarded(() => toServer(filter, chunk)),
    text: () => socket.close(POLICY_VIOLATION, 'the screen console takes no messages'),
    closed() {
      gone.abort()
      server?.destroy()
      onClosed()
    },
  })
  const { id: viewerId, mode, recorded } = session
  socket.tell({ type: 'hello', viewerId, mode, replayBytes: 0, recorded })
  session.isGreeted = true
  connect().catch((error: unknown) => {
    log.debug({ err: error, nodeId }, 'the screen console could not be opened')
    return finish(isNotFound(error) ? 'node-stopped' : undefined)
  })

  async function connect(): Promise<void> {
    const opened = await openTarget(await engine.console(nodeId, 'screen'))
    opened.on('error', () => opened.destroy())
    opened.once('end', () => opened.destroy())
    opened.once('close', () => void finish())
    if (gone.signal.aborted) return void opened.destroy()
    server = opened
    opened.on('data', (chunk: Buffer) => guarded(() => toViewer(opened, chunk)))
    opened.on('drain', () => socket.resume())
  }

  function toViewer(from: Duplex, chunk: Buffer): void {
    filter.fromServer(chunk)
    socket.send(chunk, () => {
      if (socket.waitingBytes < MAX_PICTURE_BYTES / 4) from.resume()
    })
    if (socket.waitingBytes > MAX_PICTURE_BYTES) from.pause()
  }

  function toServer(through: RfbFilter, chunk: Buffer): void {
    const allowed = through.fromClient(chunk)
    if (allowed.length === 0) return
    server?.write(allowed)
    if (server && server.writableLength > MAX_TYPED_BYTES) socket.pause()
  }

  function guarded(step: () => void): void {
    try {
      step()
    } catch (error) {
      if (!(error instanceof RfbViolation)) throw error
      log.info({ nodeId, reason: error.message }, 'a screen console broke the protocol')
      socket.close(POLICY_VIOLATION, 'not RFB as this console speaks it')
    }
  }

  /** The server's side has ended: because the node has, or for a reason of its own. */
  async function finish(known?: EndCause): Promise<void> {
    if (gone.signal.aborted) return
    endSession(session, known ?? (await causeOfEnd()))
  }

  async function causeOfEnd(): Promise<EndCause> {
    for (const ms of NOTICE_MS) {
      await pause(ms, gone.signal)
      if (!(await isRunning(engine, nodeId))) return 'node-stopped'
    }
    return 'unavailable'
  }
}
