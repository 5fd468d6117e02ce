import { beforeEach, describe, expect, it } from '@jest/globals'
import type { ConsoleTicket } from '@domain/console.js'
import { CLOSE } from '@domain/console-codes.js'
import { type Connection, type ConnectionState, createConnection } from './connection.js'

const TICKET: ConsoleTicket = {
  ticket: 't',
  url: '/ws/console?ticket=t',
  kind: 'serial',
  mode: 'control',
  engine: 'direct',
  notice: null,
  expiresAt: '2026-11-21T12:00:00.000Z',
}

/** As much of a WebSocket as a connection touches. */
class TestSocket extends EventTarget {
  closed = false
  close() {
    this.closed = true
  }
  end(code: number) {
    this.dispatchEvent(Object.assign(new Event('close'), { code }))
  }
}

describe('a console’s connection', () => {
  let now = 0
  let timers: { at: number; run: () => void }[] = []
  let tickets: { resolve: (ticket: ConsoleTicket) => void; reject: (error: unknown) => void }[] = []
  let sockets: { socket: TestSocket; live: () => void; attached: boolean }[] = []
  let states: ConnectionState[] = []
  let nodeUp = true
  let connection: Connection

  beforeEach(() => {
    now = 0
    timers = []
    tickets = []
    sockets = []
    states = []
    nodeUp = true
    connection = createConnection({
      openTicket: () => new Promise((resolve, reject) => tickets.push({ resolve, reject })),
      openSocket: () => new TestSocket() as unknown as WebSocket,
      attach(socket, live) {
        const one = { socket: socket as unknown as TestSocket, live, attached: true }
        sockets.push(one)
        return () => void (one.attached = false)
      },
      isNodeUp: () => nodeUp,
      onState: (state) => states.push(state),
      clock: {
        now: () => now,
        setTimeout: ((run: () => void, ms: number) =>
          timers.push({ at: now + ms, run })) as unknown as typeof setTimeout,
        clearTimeout: () => void (timers = []),
      },
    })
  })

  const turns = () => new Promise((resolve) => setTimeout(resolve, 0))
  async function advance(ms: number): Promise<void> {
    now += ms
    const due = timers.filter(({ at }) => at <= now)
    timers = timers.filter(({ at }) => at > now)
    for (const { run } of due) run()
    await turns()
  }
  async function opened() {
    tickets.at(-1)?.resolve(TICKET)
    await turns()
    const last = sockets.at(-1)
    if (!last) throw new Error('no socket was opened')
    return last
  }

  it('is live only when the console itself has answered', async () => {
    connection.start()
    expect(connection.state).toEqual({ phase: 'connecting' })
    const { live } = await opened()
    expect(connection.state).toEqual({ phase: 'connecting' })
    live()
    expect(connection.state).toEqual({ phase: 'live' })
  })

  it('comes back after 1, 2, 4, 8, 15, 15 s, with a new ticket each time', async () => {
    connection.start()
    for (const [round, seconds] of [1, 2, 4, 8, 15, 15].entries()) {
      const { socket } = await opened()
      socket.end(1006)
      expect(connection.state).toEqual({
        phase: 'waiting',
        reason: 'The connection is lost.',
        retryAtMs: now + seconds * 1000,
      })
      await advance(seconds * 1000 - 1)
      expect(tickets).toHaveLength(round + 1)
      await advance(1)
      expect(tickets).toHaveLength(round + 2)
    }
  })

  it('begins with short waits again after it had worked, not after it had only flickered', async () => {
    connection.start()
    for (const seconds of [1, 2, 4]) {
      const { socket, live } = await opened()
      live()
      socket.end(1006)
      expect(connection.state).toMatchObject({ retryAtMs: now + seconds * 1000 })
      await advance(seconds * 1000)
    }
    const { socket, live } = await opened()
    live()
    now += 10_000
    socket.end(1006)
    expect(connection.state).toMatchObject({ retryAtMs: now + 1000 })
  })

  it('stops for good where trying again can’t help, and tries again when asked', async () => {
    connection.start()
    const { socket } = await opened()
    socket.end(CLOSE.tooManyViewers)
    expect(connection.state).toMatchObject({ phase: 'ended', next: 'retry' })
    expect(timers).toHaveLength(0)
    connection.retry()
    expect(connection.state).toEqual({ phase: 'connecting' })
  })

  it('asks for the node to be started when it does not run, and waits when it is only starting', async () => {
    connection.start()
    ;(await opened()).socket.end(CLOSE.notRunning)
    expect(connection.state).toMatchObject({ phase: 'waiting' })
    await advance(1000)
    nodeUp = false
    ;(await opened()).socket.end(CLOSE.notRunning)
    expect(connection.state).toMatchObject({ phase: 'ended', next: 'start' })
  })

  it('goes on after a ticket that could not be had', async () => {
    connection.start()
    tickets[0]?.reject(Object.assign(new Error('The server did not answer.'), { code: 'unreachable' }))
    await turns()
    expect(connection.state).toMatchObject({ phase: 'waiting', retryAtMs: 1000 })
  })

  it('can be hurried while it waits', async () => {
    connection.start()
    ;(await opened()).socket.end(1006)
    connection.retry()
    expect(tickets).toHaveLength(2)
    await advance(60_000)
    expect(tickets).toHaveLength(2)
  })

  it('lets go of everything when it is stopped, also of a ticket that comes later', async () => {
    connection.start()
    const first = await opened()
    connection.stop()
    expect(first).toMatchObject({ attached: false })
    expect(first.socket.closed).toBe(true)
    first.live()
    first.socket.end(1006)
    expect(connection.state).toEqual({ phase: 'off' })
    connection.start()
    connection.stop()
    tickets.at(-1)?.resolve(TICKET)
    await turns()
    expect(sockets).toHaveLength(1)
    expect(timers).toHaveLength(0)
  })
})
