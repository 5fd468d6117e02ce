import { afterEach, describe, expect, it } from '@jest/globals'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { parseQmpLine } from './qmp-messages.js'
import { connectQmp, type QmpClient, type QmpOptions } from './qmp.js'

const GREETING = { QMP: { version: { qemu: { major: 7, minor: 2, micro: 22 }, package: 'Debian' }, capabilities: [] } }

interface Peer {
  path: string
  sent: { execute: string; id: number; arguments?: unknown }[]
  /** The backend's end, once it has connected. */
  socket(): Socket
  say(message: unknown): void
}

type Answer = (command: Peer['sent'][number], peer: Peer) => void

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** A QMP server that greets and then answers as told; by default with an empty success. */
async function qemuThat(answer: Answer, greeting: unknown = GREETING): Promise<Peer> {
  const dir = await mkdtemp(join(tmpdir(), 'qmp-'))
  let socket: Socket | undefined
  const peer: Peer = {
    path: join(dir, 'qmp'),
    sent: [],
    socket: () => socket!,
    say: (message) => void socket?.write(`${JSON.stringify(message)}\r\n`),
  }
  const server: Server = createServer((connection) => {
    socket = connection
    if (greeting !== null) peer.say(greeting)
    let rest = ''
    connection.on('data', (chunk) => {
      const lines = (rest + chunk.toString()).split('\r\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const command = JSON.parse(line) as Peer['sent'][number]
        peer.sent.push(command)
        if (command.execute === 'qmp_capabilities') peer.say({ return: {}, id: command.id })
        else answer(command, peer)
      }
    })
    connection.on('error', () => undefined)
  })
  await new Promise<void>((resolve) => server.listen(peer.path, resolve))
  cleanups.push(async () => {
    socket?.destroy()
    await new Promise((resolve) => server.close(resolve))
    await rm(dir, { recursive: true, force: true })
  })
  return peer
}

async function connected(peer: Peer, options?: QmpOptions): Promise<QmpClient> {
  const client = await connectQmp(peer.path, options)
  cleanups.push(() => client.close())
  return client
}

const status = z.object({ running: z.boolean() })

describe('the QMP client', () => {
  it('greets, leaves negotiation mode and gives typed answers', async () => {
    const peer = await qemuThat((command) => peer.say({ return: { running: true, more: 1 }, id: command.id }))
    const client = await connected(peer)
    expect(client.version).toEqual({ major: 7, minor: 2, micro: 22 })
    expect(await client.execute('query-status', status)).toEqual({ running: true })
    expect(peer.sent.map((command) => command.execute)).toEqual(['qmp_capabilities', 'query-status'])
  })

  it('gives each answer to its own command, in whatever order they come', async () => {
    const held: number[] = []
    const peer = await qemuThat((command) => {
      held.push(command.id)
      if (held.length === 2) for (const id of held.toReversed()) peer.say({ return: { n: id }, id })
    })
    const client = await connected(peer)
    const n = z.object({ n: z.int() })
    const [first, second] = await Promise.all([client.execute('a', n), client.execute('b', n)])
    expect([first.n, second.n]).toEqual(held)
  })

  it('says what QEMU refused and why', async () => {
    const peer = await qemuThat((command) =>
      peer.say({ error: { class: 'CommandNotFound', desc: 'no such thing' }, id: command.id }),
    )
    const client = await connected(peer)
    await expect(client.run('fly')).rejects.toMatchObject({
      failure: 'refused',
      errorClass: 'CommandNotFound',
      message: 'QEMU refused fly: no such thing',
    })
  })

  it('gives up on a silent QEMU in time, drops the late answer and goes on', async () => {
    const peer = await qemuThat((command) => {
      if (command.execute !== 'slow') peer.say({ return: { running: true }, id: command.id })
    })
    const client = await connected(peer, { timeoutMs: 2000 })
    await expect(client.run('slow', {}, 20)).rejects.toMatchObject({ failure: 'silent' })
    peer.say({ return: { running: false }, id: peer.sent.at(-1)?.id })
    expect(await client.execute('query-status', status)).toEqual({ running: true })
  })

  it('refuses more waiting commands than its bound', async () => {
    const peer = await qemuThat(() => undefined)
    const client = await connected(peer, { maxPending: 2, timeoutMs: 60 })
    const waiting = [client.run('a'), client.run('b')]
    await expect(client.run('c')).rejects.toMatchObject({ failure: 'busy' })
    expect((await Promise.allSettled(waiting)).map((one) => one.status)).toEqual(['rejected', 'rejected'])
  })

  it('hands over events in order, also those before the first command', async () => {
    const seen: string[] = []
    const peer = await qemuThat((command) => {
      peer.say({ event: 'STOP', timestamp: { seconds: 1, microseconds: 2 } })
      peer.say({ event: 'SHUTDOWN', data: { guest: true, reason: 'guest-shutdown' } })
      peer.say({ return: {}, id: command.id })
    })
    const client = await connected(peer, { onEvent: (event) => seen.push(event.event) })
    await client.run('query-status')
    expect(seen).toEqual(['STOP', 'SHUTDOWN'])
  })

  it('fails what waits when the connection ends, and everything after', async () => {
    const peer = await qemuThat(() => peer.socket().destroy())
    const client = await connected(peer)
    await expect(client.run('quit')).rejects.toMatchObject({ failure: 'closed' })
    await client.closed
    await expect(client.run('query-status')).rejects.toMatchObject({ failure: 'closed' })
  })

  it('calls an answer of an unknown form a protocol error', async () => {
    const peer = await qemuThat((command) => peer.say({ return: { running: 'yes' }, id: command.id }))
    const client = await connected(peer)
    await expect(client.execute('query-status', status)).rejects.toMatchObject({ failure: 'protocol' })
  })

  it('hears nothing from a second connection and says so', async () => {
    const peer = await qemuThat(() => undefined, null)
    await expect(connectQmp(peer.path, { timeoutMs: 30 })).rejects.toMatchObject({ failure: 'silent' })
  })

  it('leaves what does not speak QMP', async () => {
    const peer = await qemuThat(() => undefined, { RFB: '003.008' })
    await expect(connectQmp(peer.path)).rejects.toMatchObject({ failure: 'protocol' })
  })

  it('never follows a symbolic link that was put in the place of the socket', async () => {
    const peer = await qemuThat(() => undefined)
    await symlink(peer.path, `${peer.path}-link`)
    await expect(connectQmp(`${peer.path}-link`)).rejects.toMatchObject({ failure: 'absent' })
    await expect(connectQmp(`${peer.path}-none`)).rejects.toMatchObject({ failure: 'absent' })
  })
})

describe('a line of QMP', () => {
  it.each(['', '[]', 'null', '5', '{}', '{"id":1}', '{"error":{}}', '{"return', '\0'])('%j is not QMP', (line) => {
    expect(parseQmpLine(line)).toBeUndefined()
  })
  it('may return nothing at all', () => {
    expect(parseQmpLine('{"return": {}, "id": 3}')).toEqual({ kind: 'answer', answer: { return: {}, id: 3 } })
  })
})
