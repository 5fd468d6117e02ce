import { createHeldInput } from './rfb-held-input.js'

/** The client broke the protocol, or spoke a part of it that we do not follow; the connection must end. */
export class RfbViolation extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'RfbViolation'
  }
}

/**
 * Stands between a VNC client and its server (RFC 6143). Follows the handshake in both directions, makes every client a
 * sharing one, and while `mayType` says no lets only those messages through that ask for pictures: keys, pointer,
 * clipboard, power and resizing never reach the guest. Whatever it forwards, it has understood, so that client and server
 * can't be made to disagree about where a message ends. The same for noVNC's messages and for those of guacd.
 */
export interface RfbFilter {
  /** What may go on to the server. Throws RfbViolation. */
  fromClient(chunk: Buffer): Buffer
  /** Must see the server's bytes before the client does. Throws RfbViolation. */
  fromServer(chunk: Buffer): void
  /**
   * The right to type has changed. What the client still holds down is let go of for it, for its own release will not be
   * let through: a Ctrl that stays down would spoil what the next one types. Answers what to send to the server now.
   */
  changed(): Buffer
}

interface Message {
  /** Bytes, the type included, that tell how long the message is. */
  header: number
  forward: boolean
  /** How many bytes follow the header. */
  body(header: Buffer): number
}

const none = () => 0
const SECURITY_NONE = 1
const VERSION_BYTES = 12
const QEMU_KEY_BYTES = 12

/** Client messages by type. Lengths after RFC 6143 and the community's registry (rfbproto). */
const MESSAGES: Readonly<Record<number, Message>> = {
  0: { header: 20, forward: true, body: none }, // SetPixelFormat
  2: { header: 4, forward: true, body: (header) => header.readUInt16BE(2) * 4 }, // SetEncodings
  3: { header: 10, forward: true, body: none }, // FramebufferUpdateRequest
  4: { header: 8, forward: false, body: none }, // KeyEvent
  5: { header: 6, forward: false, body: (header) => (header[1]! & 0x80 ? 1 : 0) }, // PointerEvent; marker = one more
  6: { header: 8, forward: false, body: (header) => Math.abs(header.readInt32BE(4)) }, // ClientCutText; < 0 = extended
  150: { header: 10, forward: true, body: none }, // EnableContinuousUpdates
  248: { header: 9, forward: true, body: (header) => atMost(header[8]!, 64) }, // ClientFence
  250: { header: 4, forward: false, body: none }, // xvp: shut down, reboot, reset
  251: { header: 8, forward: false, body: (header) => header[6]! * 16 }, // SetDesktopSize
  255: { header: 4, forward: false, body: qemuBody }, // QEMU
}

/** `mayType` is asked at the beginning of each message. */
export function createRfbFilter(mayType: () => boolean): RfbFilter {
  const server: number[] = []
  let serverVersion: number | undefined
  let stage: 'version' | 'security' | 'init' | 'messages' = 'version'
  let held: Buffer = Buffer.alloc(0)
  let body = { bytes: 0, forward: false }
  const heldDown = createHeldInput()

  /** Takes one whole part from the front of `held`; undefined when it has not all arrived. */
  function take(bytes: number): Buffer | undefined {
    if (held.length < bytes) return undefined
    const part = held.subarray(0, bytes)
    held = held.subarray(bytes)
    return part
  }

  function handshake(): Buffer | undefined {
    if (stage === 'version') {
      const part = take(VERSION_BYTES)
      if (!part) return undefined
      stage = agreedVersion(part, serverVersion) >= 7 ? 'security' : 'init'
      return part
    }
    const part = take(1)
    if (!part) return undefined
    if (stage === 'init') {
      stage = 'messages'
      return Buffer.of(1) // shared, whatever was asked: nobody is pushed out
    }
    if (part[0] !== SECURITY_NONE) throw new RfbViolation(`security type ${part[0]} was chosen; only None is offered`)
    stage = 'init'
    return part
  }

  function message(): Buffer | undefined {
    if (body.bytes > 0) {
      const part = take(Math.min(body.bytes, held.length))
      if (!part || part.length === 0) return undefined
      body = { ...body, bytes: body.bytes - part.length }
      return body.forward ? part : Buffer.alloc(0)
    }
    const letGo = mayType() ? undefined : heldDown.release()
    if (letGo) return letGo
    const type = held[0]
    if (type === undefined) return undefined
    const known = MESSAGES[type]
    if (!known) throw new RfbViolation(`unknown client message ${type}`)
    const header = take(isQemuKey(held) ? QEMU_KEY_BYTES : known.header)
    if (!header) return undefined
    const forward = known.forward || mayType()
    body = { bytes: isQemuKey(header) ? 0 : known.body(header), forward }
    if (forward) heldDown.follow(header)
    return forward ? header : Buffer.alloc(0)
  }

  function next(): Buffer | undefined {
    if (stage !== 'messages') return handshake()
    return message()
  }

  function passed(): Buffer {
    const forwarded: Buffer[] = []
    for (let part = next(); part; part = next()) if (part.length > 0) forwarded.push(part)
    return forwarded.length === 1 ? forwarded[0]! : Buffer.concat(forwarded)
  }

  return {
    changed: () => (stage === 'messages' ? passed() : Buffer.alloc(0)),
    fromServer(chunk) {
      if (serverVersion !== undefined) return
      server.push(...chunk.subarray(0, VERSION_BYTES - server.length))
      if (server.length === VERSION_BYTES) serverVersion = minorVersion(Buffer.from(server))
    },
    fromClient(chunk) {
      if (serverVersion === undefined) throw new RfbViolation('the client spoke before the server')
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      return passed()
    },
  }
}

/** The server goes by the lower of both; a client that answers more than it was offered is up to something. */
function agreedVersion(client: Buffer, offered: number | undefined): number {
  const version = minorVersion(client)
  if (offered === undefined || version > offered)
    throw new RfbViolation('the client chose a version that is not offered')
  return version
}

function minorVersion(text: Buffer): number {
  const minor = /^RFB 003\.00([378])\n$/.exec(text.toString('latin1'))?.[1]
  if (minor === undefined) throw new RfbViolation('not a version of RFB that we speak')
  return Number(minor)
}

function isQemuKey(bytes: Buffer): boolean {
  return bytes.length >= 2 && bytes[0] === 255 && bytes[1] === 0
}

/** QEMU's own messages but the extended key event (0), which is taken whole: audio (1). */
function qemuBody(header: Buffer): number {
  const operation = header.readUInt16BE(2)
  if (header[1] === 1 && operation <= 2) return operation === 2 ? 6 : 0
  throw new RfbViolation('unknown QEMU client message')
}

function atMost(bytes: number, limit: number): number {
  if (bytes > limit) throw new RfbViolation('a fence is longer than it may be')
  return bytes
}
