import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import ssh2, { type PseudoTerminal, type ServerChannel, type ServerConnection } from 'ssh2'

/** A guest's SSH server with a shell that says what it is told, in front of which a test may put anything. */
export interface GuestSsh {
  /** As the engine would connect to the guest's port; ends at once while nobody listens there. */
  connect(): Duplex
  /** What was typed into all shells, and the newest shell's own channel. */
  readonly typed: string
  readonly channel: ServerChannel | undefined
  /** The sizes that it was told, newest last. */
  readonly sizes: { columns: number; rows: number }[]
  /** As whom somebody signed in. */
  readonly users: string[]
  readonly connections: number
  /** Its host key from now on. */
  hostKey: string
  /** The key that it takes, a line of `authorized_keys`; null: none. */
  authorizedKey: string | null
  /** Whether anybody listens on the port. */
  listens: boolean
  close(): Promise<void>
}

export const newHostKey = (): string => ssh2.utils.generateKeyPairSync('ed25519', { comment: 'host' }).private

export async function startGuestSsh(authorizedKey: string): Promise<GuestSsh> {
  const sockets = new Set<Socket>()
  const typed: Buffer[] = []
  const guest: Omit<GuestSsh, 'typed'> & { typed: string; channel: ServerChannel | undefined; connections: number } = {
    connect: () => (guest.listens ? connect(portOf(listener), '127.0.0.1') : connect(1, '127.0.0.1')),
    get typed() {
      return Buffer.concat(typed).toString()
    },
    channel: undefined,
    sizes: [],
    users: [],
    get connections() {
      return sockets.size
    },
    hostKey: newHostKey(),
    authorizedKey,
    listens: true,
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => listener.close(resolve))
    },
  }
  const listener = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    new ssh2.Server({ hostKeys: [guest.hostKey] }, serve).injectSocket(socket)
  })

  function serve(connection: ServerConnection): void {
    connection.on('error', () => undefined) // the other side has gone
    connection.on('authentication', (context) => {
      const key = guest.authorizedKey === null ? undefined : ssh2.utils.parseKey(guest.authorizedKey)
      if (context.method !== 'publickey' || !key || key instanceof Error) return context.reject(['publickey'])
      if (!context.key?.data.equals(key.getPublicSSH())) return context.reject(['publickey'])
      const isSigned = context.signature && context.blob && key.verify(context.blob, context.signature) === true
      if (context.signature && !isSigned) return context.reject(['publickey'])
      if (context.signature) guest.users.push(context.username)
      context.accept()
    })
    connection.on('session', (accept) => {
      const session = accept()
      const told = ({ cols, rows }: PseudoTerminal) => void guest.sizes.push({ columns: cols, rows })
      session.on('pty', (granted, _refused, about) => {
        told(about)
        granted()
      })
      session.on('window-change', (_granted, _refused, about) => told(about))
      session.on('shell', (granted) => shell(granted()))
    })
  }

  function shell(channel: ServerChannel): void {
    guest.channel = channel
    channel.write('$ ')
    channel.on('data', (chunk: Buffer) => {
      typed.push(chunk)
      channel.write(chunk.toString().replaceAll('\r', '\r\n$ '))
      if (!guest.typed.endsWith('exit\r')) return
      channel.exit(3)
      channel.end()
    })
  }

  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  return guest
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port // it listens on TCP
}
