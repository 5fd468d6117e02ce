import type { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'
import { createGuardedLite } from './guarded-lite.js'
import { liteSocket } from './lite-socket.js'
import type { FromGateway, ToGateway } from './messages.js'
import { createScreenRecorder } from './screen-recorder.js'

/**
 * A process of its own, because a fault in guacamole-lite ends the process that it is in: then consoles reconnect, and
 * nothing else notices. It knows no tickets, no users and no nodes; viewers are handed to it when all that is settled.
 * Started by gateway.ts with guacd's address, a ping interval and, when the backend is root, whom to become.
 */
const MAX_PAYLOAD_BYTES = 1024 * 1024
const CLOSE_TIMEOUT_MS = 800
/** For what viewers are still to be told. */
const LAST_WORDS_MS = 200
const POLICY_VIOLATION = 1008

const [host = '', port = '', pingMs = '', uid, gid] = process.argv.slice(2)
if (uid !== undefined && gid !== undefined) becomeOther(Number(uid), Number(gid))
// Ctrl-C reaches the whole group of a terminal; the backend decides when this ends.
process.on('SIGINT', () => undefined)
process.on('disconnect', () => setTimeout(() => process.exit(0), LAST_WORDS_MS))

const lite = createGuardedLite({ host, port: Number(port) }, (message) => tell({ type: 'log', message }))
const webSockets = new WebSocketServer({
  noServer: true,
  perMessageDeflate: false,
  maxPayload: MAX_PAYLOAD_BYTES,
  clientTracking: false,
})
const viewers = new Map<string, WebSocket>()

process.on('message', (message: ToGateway, socket: unknown) => {
  if (message.type === 'open') return open(message, socket instanceof Socket ? socket : undefined)
  if (message.type === 'ping') return tell({ type: 'pong' })
  const viewer = viewers.get(message.id)
  if (!viewer) return // gone; `closed` was told
  if (message.type === 'tell') viewer.send(message.text)
  else close(viewer, message.code, message.reason)
})
tell({ type: 'ready' })

function open({ id, request, head, screen }: Extract<ToGateway, { type: 'open' }>, socket: Socket | undefined): void {
  if (!socket) return tell({ type: 'closed', id })
  let isOpen = false
  socket.on('error', () => socket.destroy())
  socket.once('close', () => {
    if (!isOpen) tell({ type: 'closed', id })
  })
  // As much of a request as `ws` reads; the backend has read and allowed the real one.
  const upgrade = { method: 'GET', url: request.url, headers: request.headers } as unknown as IncomingMessage
  webSockets.handleUpgrade(upgrade, socket, Buffer.from(head, 'base64'), (ws) => {
    isOpen = true
    viewers.set(id, ws)
    const recorder = screen?.recorded
      ? createScreenRecorder((instructions) => tell({ type: 'shown', id, instructions }))
      : undefined
    keepAlive(ws)
    ws.on('error', () => ws.terminate())
    ws.once('close', () => {
      viewers.delete(id)
      recorder?.flush()
      tell({ type: 'closed', id })
    })
    if (!screen) return
    const events = {
      text: (text: string) => tell({ type: 'text', id, text }),
      ended: (reason: string) => tell({ type: 'ended', id, reason }),
      violated: () => close(ws, POLICY_VIOLATION, 'not Guacamole as this console speaks it'),
    }
    const viewer = liteSocket(ws, events, recorder)
    lite.serve(viewer, screen)
  })
}

/** It needs no file and no right of root's. Where root itself has lost the right to become others, it has lost the rest too. */
function becomeOther(uid: number, gid: number): void {
  try {
    process.setgroups?.([])
    process.setgid?.(gid)
    process.setuid?.(uid)
  } catch (error) {
    tell({ type: 'log', message: `the gateway keeps the backend's user: ${String(error)}` })
  }
}

function keepAlive(ws: WebSocket): void {
  let answered = true
  const timer = setInterval(() => {
    if (!answered) return ws.terminate()
    answered = false
    ws.ping()
  }, Number(pingMs))
  ws.on('pong', () => (answered = true))
  ws.once('close', () => clearInterval(timer))
}

function close(ws: WebSocket, code: number, reason: string): void {
  ws.close(code, reason)
  setTimeout(() => ws.terminate(), CLOSE_TIMEOUT_MS).unref()
}

function tell(message: FromGateway): void {
  if (process.connected) process.send?.(message)
}
