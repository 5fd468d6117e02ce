import { Duplex } from 'node:stream'
import { crc32, deflateSync } from 'node:zlib'

/** What every fake node shows: one colour. */
const WIDTH = 64
const HEIGHT = 48
const COLOUR = { red: 0x2f, green: 0x6f, blue: 0x9f }

/** The fake screen as a PNG file (RFC 2083). */
export function fakePicture(): Buffer {
  const row = Buffer.concat([
    Buffer.from([0]),
    Buffer.alloc(WIDTH * 3, Buffer.from([COLOUR.red, COLOUR.green, COLOUR.blue])),
  ])
  const header = Buffer.alloc(13)
  header.writeUInt32BE(WIDTH, 0)
  header.writeUInt32BE(HEIGHT, 4)
  header.set([8, 2, 0, 0, 0], 8) // 8 bits a channel, RGB
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    pngChunk('IHDR', header),
    pngChunk('IDAT', deflateSync(Buffer.concat(Array<Buffer>(HEIGHT).fill(row)))),
    pngChunk('IEND', Buffer.alloc(0)),
  ])
}

function pngChunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const chunk = Buffer.alloc(body.length + 8)
  chunk.writeUInt32BE(data.length, 0)
  body.copy(chunk, 4)
  chunk.writeUInt32BE(crc32(body), body.length + 4)
  return chunk
}

/** Bytes of each client message (RFC 6143, 7.5); null: more are needed to know. */
function messageLength(bytes: Buffer): number | null {
  switch (bytes[0]) {
    case 0:
      return 20 // SetPixelFormat
    case 2:
      return bytes.length < 4 ? null : 4 + 4 * bytes.readUInt16BE(2) // SetEncodings
    case 3:
      return 10 // FramebufferUpdateRequest
    case 4:
      return 8 // KeyEvent
    case 5:
      return 6 // PointerEvent
    case 6:
      return bytes.length < 8 ? null : 8 + bytes.readUInt32BE(4) // ClientCutText
    default:
      return -1
  }
}

/**
 * The server's end of an RFB 3.8 connection: no password, 32 bits a pixel, one picture for each full request. Hangs up
 * on what it does not know. `onInput` hears each key and pointer message.
 */
export function openFakeScreen(onInput: (message: Buffer) => void): Duplex {
  let waiting: Buffer = Buffer.alloc(0)
  let state: 'version' | 'security' | 'init' | 'open' = 'version'
  const screen = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      waiting = Buffer.concat([waiting, chunk])
      while (step());
      done()
    },
    final(done) {
      screen.push(null)
      done()
    },
  })
  const take = (length: number): Buffer | null => {
    if (waiting.length < length) return null
    const taken = waiting.subarray(0, length)
    waiting = waiting.subarray(length)
    return taken
  }
  const step = (): boolean => {
    if (state === 'version') {
      if (!take(12)) return false
      screen.push(Buffer.from([1, 1])) // one security type: None
      state = 'security'
    } else if (state === 'security') {
      if (!take(1)) return false
      screen.push(Buffer.alloc(4)) // SecurityResult: OK
      state = 'init'
    } else if (state === 'init') {
      if (!take(1)) return false
      screen.push(serverInit())
      state = 'open'
    } else {
      return message()
    }
    return true
  }
  const message = (): boolean => {
    const length = waiting.length === 0 ? null : messageLength(waiting)
    if (length === null) return false
    if (length < 0) {
      screen.destroy()
      return false
    }
    const bytes = take(length)
    if (!bytes) return false
    if (bytes[0] === 3 && bytes[1] === 0) screen.push(wholePicture())
    if (bytes[0] === 4 || bytes[0] === 5) onInput(Buffer.from(bytes))
    return true
  }
  screen.push('RFB 003.008\n')
  return screen
}

function serverInit(): Buffer {
  const name = Buffer.from('QEMU (fake)')
  const init = Buffer.alloc(24)
  init.writeUInt16BE(WIDTH, 0)
  init.writeUInt16BE(HEIGHT, 2)
  init.set([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0], 4) // little endian, true colour, 8 bits each
  init.writeUInt32BE(name.length, 20)
  return Buffer.concat([init, name])
}

/** One rectangle, raw encoding. */
function wholePicture(): Buffer {
  const head = Buffer.alloc(16)
  head.writeUInt16BE(1, 2)
  head.writeUInt16BE(WIDTH, 8)
  head.writeUInt16BE(HEIGHT, 10)
  const pixel = Buffer.from([COLOUR.blue, COLOUR.green, COLOUR.red, 0])
  return Buffer.concat([head, Buffer.alloc(WIDTH * HEIGHT * 4, pixel)])
}
