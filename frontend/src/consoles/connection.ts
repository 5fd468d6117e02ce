import type { ConsoleTicket } from '@domain/console.js'
import { afterClose, afterRefusal, type NextStep, type Outcome, retryDelayMs } from './console-end.js'

/** Where a console's connection stands. Only `live` was measured: the other side has answered. */
export type ConnectionState =
  | { phase: 'off' }
  | { phase: 'connecting' }
  | { phase: 'live' }
  | { phase: 'waiting'; reason: string; retryAtMs: number }
  | { phase: 'ended'; reason: string; next: NextStep }

export interface ConnectionOptions {
  openTicket: () => Promise<ConsoleTicket>
  openSocket: (ticket: ConsoleTicket) => WebSocket
  /** Takes over a socket's messages; calls `live` when the console itself has answered. Returns what lets go of it. */
  attach: (socket: WebSocket, live: () => void) => () => void
  /** Whether the page sees the node running; a console that is refused because it is not running is then tried again. */
  isNodeUp: () => boolean
  onState: (state: ConnectionState) => void
  /** For tests. */
  clock?: Pick<typeof globalThis, 'setTimeout' | 'clearTimeout'> & { now: () => number }
}

export interface Connection {
  readonly state: ConnectionState
  /** Connects, and connects again until `stop`, unless something ends it for good. */
  start(): void
  stop(): void
  /** Does not wait any longer, or tries again after an end. */
  retry(): void
}

/** A connection that has been live this long had worked: the next loss is a new trouble and is tried again at once. */
const WORKED_MS = 10_000
const NODE_STOPPED: Outcome = { follow: 'stop', next: 'start', reason: 'The node is not running.' }
const NOT_YET: Outcome = { follow: 'retry', reason: 'The node’s console is not there yet.' }

/** One console's connection through tickets, sockets and troubles. */
export function createConnection(options: ConnectionOptions): Connection {
  const clock = options.clock ?? {
    setTimeout: globalThis.setTimeout.bind(globalThis),
    clearTimeout: globalThis.clearTimeout.bind(globalThis),
    now: () => Date.now(),
  }
  let state: ConnectionState = { phase: 'off' }
  let attempt = 0
  let liveSince = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  /** Changes with each connect and stop, so that what an earlier one still answers is not heard. */
  let turn = 0
  let release: (() => void) | undefined

  function show(next: ConnectionState): void {
    state = next
    options.onState(next)
  }

  function drop(): void {
    turn += 1
    clock.clearTimeout(timer)
    release?.()
    release = undefined
  }

  async function connect(): Promise<void> {
    drop()
    const mine = turn
    show({ phase: 'connecting' })
    let ticket: ConsoleTicket
    try {
      ticket = await options.openTicket()
    } catch (error) {
      if (mine === turn) end(afterRefusal(error))
      return
    }
    if (mine === turn) follow(options.openSocket(ticket), mine)
  }

  function follow(socket: WebSocket, mine: number): void {
    const detach = options.attach(socket, () => {
      if (mine !== turn) return
      liveSince = clock.now()
      show({ phase: 'live' })
    })
    const onClose = ({ code }: CloseEvent) => end(afterClose(code))
    socket.addEventListener('close', onClose)
    release = () => {
      socket.removeEventListener('close', onClose)
      detach()
      socket.close()
    }
  }

  function end(outcome: Outcome): void {
    const wasLong = state.phase === 'live' && clock.now() - liveSince >= WORKED_MS
    if (wasLong) attempt = 0
    drop()
    const told = outcome.follow === 'node-stopped' ? (options.isNodeUp() ? NOT_YET : NODE_STOPPED) : outcome
    if (told.follow === 'stop') return show({ phase: 'ended', reason: told.reason, next: told.next })
    if (told.follow === 'node-stopped') return
    const delayMs = retryDelayMs(attempt)
    attempt += 1
    timer = clock.setTimeout(() => void connect(), delayMs)
    show({ phase: 'waiting', reason: told.reason, retryAtMs: clock.now() + delayMs })
  }

  return {
    get state() {
      return state
    },
    start() {
      if (state.phase !== 'off') return
      attempt = 0
      void connect()
    },
    stop() {
      drop()
      if (state.phase !== 'off') show({ phase: 'off' })
    },
    retry() {
      if (state.phase === 'waiting' || state.phase === 'ended') void connect()
    },
  }
}
