import { createServer, type Server, type Socket } from 'node:net'

/** Behaves as QEMU's serial chardev does: one client, each byte to the client first and to the log right after. */
export interface Guest {
  readonly path: string
  readonly log: Buffer
  /** What was typed into the guest. */
  readonly typed: Buffer
  readonly connected: boolean
  readonly saidBytes: number
  /** Off: the log stands still, so that a flood does not fill the test's own memory. */
  logging: boolean
  /** Says something. False: the client does not read fast enough; nothing more until `writable`. */
  say(bytes: string | Buffer): boolean
  writable(): Promise<void>
  /** Forgets its client, as when the connection breaks. */
  hangUp(): void
  /** Stops and starts reading what is typed. */
  setReading(reading: boolean): void
  close(): Promise<void>
}

export async function startGuest(path: string): Promise<Guest> {
  const log: Buffer[] = []
  const typed: Buffer[] = []
  let client: Socket | undefined
  let reading = true
  let saidBytes = 0
  const server: Server = createServer((socket) => {
    if (client) return // QEMU lets a second client connect and never serves it
    client = socket
    if (!reading) socket.pause()
    socket.on('data', (chunk) => typed.push(chunk))
    socket.on('error', () => socket.destroy())
    socket.on('close', () => (client = undefined))
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const guest: Guest = {
    path,
    logging: true,
    get saidBytes() {
      return saidBytes
    },
    get log() {
      return Buffer.concat(log)
    },
    get typed() {
      return Buffer.concat(typed)
    },
    get connected() {
      return client !== undefined
    },
    say(bytes) {
      const chunk = Buffer.from(bytes)
      const ok = client?.write(chunk) ?? true
      saidBytes += chunk.length
      if (guest.logging) log.push(chunk)
      return ok
    },
    writable: () => new Promise((resolve) => (client?.writableNeedDrain ? client.once('drain', resolve) : resolve())),
    hangUp: () => client?.destroy(),
    setReading(wanted) {
      reading = wanted
      if (wanted) client?.resume()
      else client?.pause()
    },
    async close() {
      client?.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return guest
}
