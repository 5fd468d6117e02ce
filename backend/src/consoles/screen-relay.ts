import type { Duplex } from 'node:stream'
import type { NodeEngine } from '../hosts/engine.js'
import type { Logger } from '../system/log.js'
import { openTarget } from './console-target.js'
import { causeOfEnd, type EndCause, isNotFound } from './node-running.js'
import { createRfbFilter, RfbViolation } from './rfb-filter.js'
import type { ConsoleSession } from './session.js'
import { POLICY_VIOLATION } from './viewer-socket.js'

export interface ScreenRelayOptions {
  engine: NodeEngine
  log: Logger
  session: ConsoleSession
  /** A text message of the viewer. */
  onText: (text: string) => void
  endSession: (session: ConsoleSession, cause: EndCause) => void
  onClosed: () => void
}

/** Above this much unread picture the server is not read; below a quarter of it, it is again. */
const MAX_PICTURE_BYTES = 4 * 1024 * 1024
const MAX_TYPED_BYTES = 64 * 1024

/**
 * Raw RFB between a viewer and a connection of its own to the node's VNC server, through a filter that lets only the
 * writer type.
 * Neither side is read faster than the other takes it.
 */
export function relayScreen({ engine, log, session, onText, endSession, onClosed }: ScreenRelayOptions): void {
  const { socket, nodeId } = session
  const filter = createRfbFilter(() => session.writer)
  const gone = new AbortController()
  let server: Duplex | undefined

  socket.listen({
    bytes: (chunk) => guarded(() => toServer(filter.fromClient(chunk))),
    text: onText,
    closed() {
      gone.abort()
      server?.destroy()
      onClosed()
    },
  })
  session.writerChanged = () => guarded(() => toServer(filter.changed()))
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

  function toServer(allowed: Buffer): void {
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
    endSession(session, known ?? (await causeOfEnd(engine, nodeId, gone.signal)))
  }
}
