import { rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'

/** Its answer as a value, as raw bytes, or (null) none. */
export type AgentReply = { return: unknown } | { error: { class: string; desc: string } } | Buffer | null
/** What a guest's agent does with a command; undefined: as it does by itself. */
export type AgentBehaviour = (command: string, args: Record<string, unknown>) => AgentReply | undefined

export interface FakeGuestAgent {
  /** The commands that have come, but for the synchronization. */
  asked: string[]
  /** From now on; without an argument it obeys again. */
  behave(behaviour?: AgentBehaviour): void
  isFrozen(): boolean
  /** Connections at this moment. */
  connections(): number
  /** Hangs up, and takes no more calls. */
  close(): Promise<void>
}

/** An agent behind a unix socket, as QEMU passes it on: answers in order, and obeys until it is told to misbehave. */
export async function startFakeGuestAgent(path: string): Promise<FakeGuestAgent> {
  const asked: string[] = []
  const sockets = new Set<Socket>()
  let frozen = false
  let behaviour: AgentBehaviour = () => undefined
  const obey = (command: string): AgentReply => {
    if (command === 'guest-fsfreeze-status') return { return: frozen ? 'frozen' : 'thawed' }
    if (command === 'guest-fsfreeze-freeze') {
      if (frozen) return { error: { class: 'GenericError', desc: 'the agent is frozen' } }
      frozen = true
      return { return: 1 }
    }
    if (command === 'guest-fsfreeze-thaw') {
      const thawed = frozen ? 1 : 0
      frozen = false
      return { return: thawed }
    }
    if (command === 'guest-get-time') return { return: Date.now() * 1_000_000 }
    return { return: {} }
  }
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined) // the other side hung up
    let rest = ''
    socket.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString('latin1').replaceAll('\xff', '')).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) answer(socket, line)
    })
  })
  function answer(socket: Socket, line: string): void {
    const { execute, arguments: args = {} } = JSON.parse(line) as {
      execute: string
      arguments?: Record<string, unknown>
    } // our own client's words
    const isSync = execute === 'guest-sync-delimited'
    if (!isSync) asked.push(execute)
    const told = behaviour(execute, args)
    const reply = told === undefined ? (isSync ? { return: args['id'] } : obey(execute)) : told
    if (reply === null) return
    if (Buffer.isBuffer(reply)) return void socket.write(reply)
    socket.write(Buffer.concat([Buffer.from(isSync ? [0xff] : []), Buffer.from(`${JSON.stringify(reply)}\n`)]))
  }
  await rm(path, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, resolve)
  })
  return {
    asked,
    behave: (next = () => undefined) => void (behaviour = next),
    isFrozen: () => frozen,
    connections: () => sockets.size,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
