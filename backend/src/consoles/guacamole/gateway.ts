import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { childEnvironment } from '../../system/command-environment.js'
import type { Identity } from '../../system/identity.js'
import type { Logger } from '../../system/log.js'
import type { ViewerSocket, ViewerSocketEvents } from '../viewer-socket.js'
import { type FromGateway, fromGatewaySchema, type ScreenForGuacd, type ToGateway } from './messages.js'

/** A WebSocket upgrade that was allowed and not yet answered. */
export interface Upgrade {
  request: IncomingMessage
  socket: Socket
  head: Buffer
}

/** A viewer of a screen whose connection is, or will be, the gateway process's. */
export interface HandedViewer extends ViewerSocket {
  /** Gives the connection away; the gateway answers 101 and speaks Guacamole. Once. `onShown`: of a recorded screen. */
  handOver(screen: ScreenForGuacd, onShown?: (instructions: string) => void): void
}

/** The gateway process, kept alive: started when it is first needed, and again when it ends or falls silent. */
export interface GuacamoleGateway {
  /** Resolves when it takes viewers; false when it does not within `readyMs`. */
  ready(): Promise<boolean>
  /** `onEnded`: guacd has ended the connection, for a reason in its words. */
  viewer(upgrade: Upgrade, onEnded: (reason: string) => void): HandedViewer
  /** For the health page, and for tests that kill it. */
  readonly pid: number | undefined
  close(): void
}

export interface GatewayOptions {
  guacd: { host: string; port: number }
  log: Logger
  /** Whom it becomes when the backend is root. */
  identity: Identity | undefined
  pingIntervalMs: number
  /** Tests give a compiled copy. */
  program?: string
  timing?: Partial<GatewayTiming>
}

interface GatewayTiming {
  readyMs: number
  heartbeatMs: number
  restartMs: number
}

const TIMING: GatewayTiming = { readyMs: 5000, heartbeatMs: 5000, restartMs: 250 }
/** Heartbeats; then it is killed and started anew. */
const MAX_UNANSWERED = 4
const MAX_RESTART_MS = 10_000
/** Below this much memory its own faults stay its own. */
const HEAP_MIB = 512

interface Viewer {
  shown(instructions: string): void
  text(message: string): void
  ended(reason: string): void
  closed(): void
}

export function createGateway(options: GatewayOptions): GuacamoleGateway {
  const { log, guacd, identity } = options
  const timing = { ...TIMING, ...options.timing }
  const program = options.program ?? fileURLToPath(new URL('gateway-process.js', import.meta.url))
  const viewers = new Map<string, Viewer>()
  let child: ChildProcess | undefined
  let isReady = false
  let isClosed = false
  let failures = 0
  let unanswered = 0
  let restart: NodeJS.Timeout | undefined
  const waiting = new Set<(ready: boolean) => void>()

  function start(): void {
    if (child || isClosed) return
    clearTimeout(restart)
    restart = undefined
    const whom = identity ? [String(identity.uid), String(identity.gid)] : []
    const started = fork(program, [guacd.host, String(guacd.port), String(options.pingIntervalMs), ...whom], {
      env: childEnvironment(),
      execArgv: [`--max-old-space-size=${HEAP_MIB}`],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    child = started
    unanswered = 0
    started.stderr?.on('data', (chunk: Buffer) =>
      log.warn({ text: chunk.toString().slice(0, 2000) }, 'guacamole gateway'),
    )
    started.on('message', (message) => {
      const parsed = fromGatewaySchema.safeParse(message)
      if (parsed.success) heard(parsed.data)
      else started.kill('SIGKILL') // not ours any more
    })
    started.on('error', (error) => log.error({ err: error }, 'the guacamole gateway could not be started'))
    started.once('close', (code, signal) => gone(started, signal ?? `exit code ${code}`))
  }

  function heard(message: FromGateway): void {
    unanswered = 0
    switch (message.type) {
      case 'ready':
        isReady = true
        return answer(true)
      case 'pong':
        failures = 0
        return
      case 'log':
        return log.info({ text: message.message.slice(0, 2000) }, 'guacamole gateway')
      case 'text':
        return viewers.get(message.id)?.text(message.text)
      case 'ended':
        return viewers.get(message.id)?.ended(message.reason)
      case 'shown':
        return viewers.get(message.id)?.shown(message.instructions)
      case 'closed':
        return viewers.get(message.id)?.closed()
    }
  }

  function answer(ready: boolean): void {
    for (const resolve of waiting) resolve(ready)
    waiting.clear()
  }

  /** Its viewers' connections are closed with it; they come back by themselves. */
  function gone(which: ChildProcess, how: string): void {
    if (which !== child) return
    child = undefined
    isReady = false
    for (const viewer of viewers.values()) viewer.closed()
    answer(false)
    if (isClosed) return
    const delayMs = Math.min(timing.restartMs * 2 ** failures, MAX_RESTART_MS)
    failures += 1
    log.warn({ how, delayMs }, 'the guacamole gateway has ended; consoles reconnect')
    restart = setTimeout(start, delayMs).unref()
  }

  const heartbeat = setInterval(() => {
    if (!child) return
    unanswered += 1
    if (unanswered > MAX_UNANSWERED) child.kill('SIGKILL')
    else send({ type: 'ping' })
  }, timing.heartbeatMs)
  heartbeat.unref()

  function send(message: ToGateway, socket?: Socket): boolean {
    if (!child?.connected) return false
    child.send(message, socket, {}, (error) => {
      if (!error) return
      socket?.destroy()
      if ('id' in message) viewers.get(message.id)?.closed()
    })
    return true
  }

  return {
    async ready() {
      if (isReady) return true
      if (!restart) start() // one that keeps ending is not started faster
      return new Promise((resolve) => {
        const timer = setTimeout(() => done(false), timing.readyMs)
        const done = (ready: boolean) => {
          clearTimeout(timer)
          waiting.delete(done)
          resolve(ready)
        }
        waiting.add(done)
      })
    },
    viewer: (upgrade, onEnded) => handedViewer(upgrade, onEnded, viewers, send),
    get pid() {
      return child?.pid
    },
    close() {
      isClosed = true
      clearInterval(heartbeat)
      clearTimeout(restart)
      const ending = child
      if (!ending) return
      if (ending.connected) ending.disconnect()
      setTimeout(() => ending.kill('SIGKILL'), 1000).unref()
    },
  }
}

function handedViewer(
  upgrade: Upgrade,
  onEnded: (reason: string) => void,
  viewers: Map<string, Viewer>,
  send: (message: ToGateway, socket?: Socket) => boolean,
): HandedViewer {
  const id = randomUUID()
  let where: 'here' | 'there' | 'closing' | 'gone' = 'here'
  let events: ViewerSocketEvents | undefined
  let takeShown: ((instructions: string) => void) | undefined
  const told: string[] = []
  const whenClosed: (() => void)[] = []

  function end(): void {
    const ending = events
    events = undefined
    ending?.closed()
  }

  function gone(): void {
    if (where === 'gone') return
    where = 'gone'
    viewers.delete(id)
    upgrade.socket.destroy()
    end()
    for (const then of whenClosed.splice(0)) then()
  }

  function giveAway(screen: ScreenForGuacd | null): void {
    const { request, socket } = upgrade
    where = 'there'
    socket.off('close', gone)
    socket.pause()
    // What came since the request was read, so that not a byte stays behind.
    const rest: unknown = socket.read()
    const head = Buffer.concat([upgrade.head, ...(Buffer.isBuffer(rest) ? [rest] : [])]).toString('base64')
    const headers = Object.fromEntries(
      Object.entries(request.headers).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : [])),
    )
    delete headers['cookie'] // the gateway has no use for who they are
    delete headers['authorization']
    if (socket.destroyed || !send({ type: 'open', id, request: { url: '/', headers }, head, screen }, socket))
      return gone()
    for (const text of told.splice(0)) send({ type: 'tell', id, text })
  }

  upgrade.socket.once('close', gone)
  const shown = (instructions: string) => takeShown?.(instructions)
  viewers.set(id, { text: (text) => events?.text(text), ended: onEnded, shown, closed: gone })
  return {
    get isOpen() {
      return where === 'here' || where === 'there'
    },
    waitingBytes: 0, // bounded in the gateway
    send() {
      throw new Error('pictures of a Guacamole console do not pass here')
    },
    tell(message) {
      if (where === 'here') told.push(JSON.stringify(message))
      else if (where === 'there') send({ type: 'tell', id, text: JSON.stringify(message) })
    },
    close(code, reason) {
      if (where === 'here') giveAway(null) // only a WebSocket can be told why
      if (where !== 'there') return
      where = 'closing'
      send({ type: 'close', id, code, reason })
      end()
    },
    pause: () => undefined,
    resume: () => undefined,
    listen(handlers) {
      events = handlers
      if (where === 'closing' || where === 'gone') end()
    },
    whenClosed(then) {
      if (where === 'gone') then()
      else whenClosed.push(then)
    },
    handOver(screen, onShown) {
      takeShown = onShown
      if (where === 'here') giveAway(screen)
    },
  }
}
