import { Duplex } from 'node:stream'

const KEPT_BYTES = 1024 * 1024

/** A fake guest's serial line: echoes what is typed, and after each Enter asks for a login again. */
export interface FakeSerial {
  /** What the guest prints now. */
  print(text: string | Buffer): void
  /** A connection; several may be open, all see the same. */
  open(): Duplex
  tail(maxBytes: number): Buffer
  /** The guest has ended: every connection too. */
  hangUp(): void
}

export function createFakeSerial(): FakeSerial {
  let log: Buffer = Buffer.alloc(0)
  const connections = new Set<Duplex>()
  const print = (text: string | Buffer) => {
    const bytes = Buffer.from(text)
    log = Buffer.concat([log, bytes]).subarray(-KEPT_BYTES)
    for (const connection of connections) connection.push(bytes)
  }
  return {
    print,
    open() {
      const connection: Duplex = new Duplex({
        read() {},
        write(chunk: Buffer, _encoding, done) {
          print(Buffer.from(chunk.toString('latin1').replaceAll(/\r\n?|\n/g, '\r\nlogin: '), 'latin1'))
          done()
        },
        final(done) {
          connection.push(null)
          done()
        },
      })
      connections.add(connection)
      connection.once('close', () => connections.delete(connection))
      return connection
    },
    tail: (maxBytes) => Buffer.from(log.subarray(Math.max(0, log.length - maxBytes))),
    hangUp() {
      for (const connection of connections) connection.push(null)
      connections.clear()
    },
  }
}
