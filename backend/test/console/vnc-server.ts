import { createServer, type Socket } from 'node:net'

/** A VNC server as QEMU is one: RFB 3.8, no password, and a picture that is whatever the test sends. */
export interface VncServer {
  readonly path: string
  /** Every byte that the clients sent after their handshake. */
  readonly heard: Buffer
  readonly clients: number
  /** Bytes that were given to the network and not taken by it. */
  readonly waitingBytes: number
  /** Sends picture bytes to every client; false when one does not take more. */
  paint(bytes: Buffer): boolean
  drained(): Promise<void>
  hangUp(): void
  close(): Promise<void>
}

export const RFB_VERSION = Buffer.from('RFB 003.008\n')
const CLIENT_HANDSHAKE_BYTES = RFB_VERSION.length + 2
export const SERVER_HANDSHAKE = Buffer.concat([
  RFB_VERSION,
  Buffer.from([1, 1]), // one security type: None
  Buffer.from([0, 0, 0, 0]), // its result: well
  Buffer.from([2, 128, 1, 224]), // 640 × 480
  Buffer.from([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0]),
  Buffer.from([0, 0, 0, 4]),
  Buffer.from('test'),
])
/** After so many bytes of the client, this part of the handshake: security types, the result, what the screen is. */
const ANSWERS = [
  [12, 12, 14],
  [13, 14, 18],
  [14, 18, undefined],
] as const
const NAME_AT = SERVER_HANDSHAKE.length - 8

export async function startVncServer(path: string, name = 'test'): Promise<VncServer> {
  const letters = Buffer.from(name)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(letters.length)
  const handshake = Buffer.concat([SERVER_HANDSHAKE.subarray(0, NAME_AT), length, letters])
  const sockets = new Set<Socket>()
  const heard: Buffer[] = []
  const server = createServer((socket) => {
    sockets.add(socket)
    let greeted = Buffer.alloc(0)
    let isReady = false
    let answered = 0
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk) => {
      if (isReady) {
        heard.push(chunk)
        return
      }
      greeted = Buffer.concat([greeted, chunk])
      // Each answer after its question, as a real server: a real client waits for it.
      for (const [bytes, from, to] of ANSWERS) {
        if (answered >= bytes || greeted.length < bytes) continue
        answered = bytes
        socket.write(handshake.subarray(from, to))
      }
      if (greeted.length < CLIENT_HANDSHAKE_BYTES) return
      isReady = true
      if (greeted[13] !== 1) socket.destroy() // an exclusive client would push the others out
      heard.push(greeted.subarray(CLIENT_HANDSHAKE_BYTES))
    })
    socket.write(RFB_VERSION)
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return {
    path,
    get heard() {
      return Buffer.concat(heard)
    },
    get clients() {
      return sockets.size
    },
    get waitingBytes() {
      return [...sockets].reduce((sum, socket) => sum + socket.writableLength, 0)
    },
    paint: (bytes) => [...sockets].map((socket) => socket.write(bytes)).every(Boolean),
    async drained() {
      const waiting = [...sockets].filter((socket) => socket.writableNeedDrain)
      await Promise.all(waiting.map((socket) => new Promise((resolve) => socket.once('drain', resolve))))
    },
    hangUp() {
      for (const socket of sockets) socket.destroy()
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
