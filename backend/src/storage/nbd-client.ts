import { connect, type Socket } from 'node:net'

/** The numbers are from the NBD protocol (github.com/NetworkBlockDevice/nbd, doc/proto.md). */
const INIT_MAGIC = 0x4e42_444d_4147_4943n
const OPTION_MAGIC = 0x4948_4156_454f_5054n
const REQUEST_MAGIC = 0x2560_9513
const SIMPLE_REPLY_MAGIC = 0x6744_6698
const FIXED_NEWSTYLE = 1
const NO_ZEROES = 2
const OPTION_EXPORT_NAME = 1
const READ = 0
const DISCONNECT = 2
const GREETING_BYTES = 18
const EXPORT_BYTES = 10
const REPLY_BYTES = 16
const RECEIVE_BYTES = 1024 * 1024

/** Reads a block device that a server of ours exports. */
export interface NbdClient {
  sizeBytes: number
  /** Fills `into` from this offset. At most 32 MiB; any number at once. Rejects once the server is gone. */
  read(offset: number, into: Buffer): Promise<void>
  close(): void
}

interface Pending {
  into: Buffer
  filled: number
  resolve: () => void
  reject: (error: Error) => void
}

/** Connects to the default export on a unix socket; any failure, also later, is one plain error for all who wait. */
export function connectNbd(path: string): Promise<NbdClient> {
  return new Promise((resolve, reject) => {
    const pending = new Map<number, Pending>()
    const header = Buffer.alloc(GREETING_BYTES)
    let phase: 'greeting' | 'export' | 'reply' | 'data' = 'greeting'
    let filled = 0
    let current: Pending | undefined
    let nextHandle = 1
    let failure: Error | undefined

    const fail = (error: Error) => {
      if (failure) return
      failure = error
      socket.destroy()
      reject(error)
      for (const one of pending.values()) one.reject(error)
      current?.reject(error)
      pending.clear()
    }
    const needed = { greeting: GREETING_BYTES, export: EXPORT_BYTES, reply: REPLY_BYTES }

    /** Takes the next bytes; answers how many it used. */
    const take = (bytes: Buffer): number => {
      if (phase === 'data' && current) {
        const used = bytes.copy(current.into, current.filled)
        current.filled += used
        if (current.filled === current.into.length) {
          current.resolve()
          current = undefined
          phase = 'reply'
        }
        return used
      }
      const wanted = needed[phase as keyof typeof needed]
      const used = bytes.copy(header, filled, 0, wanted - filled)
      filled += used
      if (filled < wanted) return used
      filled = 0
      if (phase === 'greeting') greet()
      else if (phase === 'export') begin()
      else replied()
      return used
    }

    function greet(): void {
      if (header.readBigUInt64BE(0) !== INIT_MAGIC || header.readBigUInt64BE(8) !== OPTION_MAGIC) {
        return fail(new Error('The disk server does not speak NBD.'))
      }
      const answer = Buffer.alloc(20)
      answer.writeUInt32BE(FIXED_NEWSTYLE | NO_ZEROES, 0)
      answer.writeBigUInt64BE(OPTION_MAGIC, 4)
      answer.writeUInt32BE(OPTION_EXPORT_NAME, 12)
      socket.write(answer)
      phase = 'export'
    }

    function begin(): void {
      phase = 'reply'
      resolve({ sizeBytes: Number(header.readBigUInt64BE(0)), read, close })
    }

    function replied(): void {
      const [magic, error, handle] = [header.readUInt32BE(0), header.readUInt32BE(4), Number(header.readBigUInt64BE(8))]
      const one = pending.get(handle)
      if (magic !== SIMPLE_REPLY_MAGIC || !one) return fail(new Error('The disk server answered what was not asked.'))
      pending.delete(handle)
      if (error !== 0) {
        one.reject(new Error(`The disk can't be read (error ${error}).`))
        return
      }
      current = one
      phase = 'data'
    }

    function read(offset: number, into: Buffer): Promise<void> {
      if (failure) return Promise.reject(failure)
      return new Promise((done, failed) => {
        const handle = nextHandle
        nextHandle += 1
        pending.set(handle, { into, filled: 0, resolve: done, reject: failed })
        socket.write(request(READ, handle, offset, into.length))
      })
    }

    function close(): void {
      if (!failure) socket.write(request(DISCONNECT, 0, 0, 0))
      socket.end()
    }

    const socket: Socket = connect({
      path,
      onread: {
        buffer: Buffer.alloc(RECEIVE_BYTES), // one for all: what comes is copied at once
        callback(length, buffer) {
          const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, length)
          for (let at = 0; at < length;) {
            if (failure) return false
            at += take(bytes.subarray(at))
          }
          return true
        },
      },
    })
    socket.on('error', fail)
    socket.on('close', () => fail(new Error('The disk server has ended.')))
  })
}

function request(type: number, handle: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(28)
  bytes.writeUInt32BE(REQUEST_MAGIC, 0)
  bytes.writeUInt16BE(type, 6)
  bytes.writeBigUInt64BE(BigInt(handle), 8)
  bytes.writeBigUInt64BE(BigInt(offset), 16)
  bytes.writeUInt32BE(length, 24)
  return bytes
}
