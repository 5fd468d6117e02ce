import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export interface CuttingProxy {
  url: string
  /** Bytes of clients that went through, of all connections. */
  readonly passed: number
  /** The first line of each request that went through, in order. */
  readonly requests: string[]
  /** Every connection ends when so many more bytes of clients have gone through; once. */
  cutAfter(bytes: number): void
  /** The next answer to a request whose first line matches is lost: it was made, and nobody hears. */
  loseAnswerTo(pattern: RegExp): void
  /** Takes no connection until `mend`. */
  breakDown(): void
  mend(): void
  close(): Promise<void>
}

/** Stands between two servers on TCP, as a bad network does. */
export async function startCuttingProxy(target: string): Promise<CuttingProxy> {
  const { hostname, port } = new URL(target)
  const sockets = new Set<Socket>()
  const requests: string[] = []
  let passed = 0
  let cutAt = Infinity
  let lost: RegExp | undefined
  let isDown = false

  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname)
    let isDeaf = false
    let isCut = false
    const end = () => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', end)
      socket.on('close', () => (sockets.delete(socket), end()))
    }
    if (isDown) return end()
    client.on('data', (chunk) => {
      if (isCut) return // what follows a cut never arrives
      const line = /^([A-Z]+ \S+) HTTP\/1\.1\r\n/.exec(chunk.toString('latin1'))?.[1]
      if (line !== undefined) {
        requests.push(line)
        if (lost?.test(line)) {
          lost = undefined
          isDeaf = true
        }
      }
      const left = cutAt - passed
      if (chunk.length >= left) {
        passed += left
        cutAt = Infinity
        isCut = true
        upstream.write(chunk.subarray(0, left), () => setImmediate(() => closeAll()))
        return
      }
      passed += chunk.length
      if (!upstream.write(chunk)) {
        client.pause()
        upstream.once('drain', () => client.resume())
      }
    })
    upstream.on('data', (chunk) => (isDeaf ? end() : void client.write(chunk)))
  })

  function closeAll(): void {
    for (const socket of sockets) socket.destroy()
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address() as AddressInfo // it listens on TCP
  return {
    url: `http://127.0.0.1:${address.port}`,
    get passed() {
      return passed
    },
    requests,
    cutAfter: (bytes) => void (cutAt = passed + bytes),
    loseAnswerTo: (pattern) => void (lost = pattern),
    breakDown() {
      isDown = true
      closeAll()
    },
    mend: () => void (isDown = false),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        closeAll()
      }),
  }
}
