import { describe, expect, it } from '@jest/globals'
import { createRfbFilter, type RfbFilter, RfbViolation } from './rfb-filter.js'

const VERSION = Buffer.from('RFB 003.008\n')
const bytes = (...parts: (number | number[] | Buffer)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.of(part) : Buffer.from(part))))
const zeros = (count: number) => Buffer.alloc(count)

const HANDSHAKE = bytes(VERSION, 1, 0) // version, security None, exclusive
const ALLOWED = {
  pixelFormat: bytes(0, zeros(3), [32, 24, 0, 1], zeros(12)),
  encodings: bytes(2, 0, [0, 3], zeros(12)),
  manyEncodings: bytes(2, 0, [0xff, 0xff], zeros(65_535 * 4)),
  updateRequest: bytes(3, 1, [0, 0, 0, 0, 2, 128, 1, 224]),
  continuousUpdates: bytes(150, 1, zeros(8)),
  fence: bytes(248, zeros(3), zeros(4), 5, [1, 2, 3, 4, 5]),
}
const DROPPED = {
  key: bytes(4, 1, zeros(2), [0, 0, 0xff, 0x0d]),
  pointer: bytes(5, 1, [0, 10, 0, 10]),
  extendedPointer: bytes(5, 0x81, [0, 10, 0, 10], 1),
  cutText: bytes(6, zeros(3), [0, 0, 0, 9], Buffer.from('clipboard')),
  extendedCutText: bytes(6, zeros(3), [0xff, 0xff, 0xff, 0xfc], [2, 0, 0, 1]),
  // Looks like an allowed message with a key event inside: a parser that loses count would forward it.
  trap: bytes(6, zeros(3), [0, 0, 0, 18], [3, 1, 0, 0, 0, 0, 2, 128, 1, 224], [4, 1, 0, 0, 0, 0, 0xff, 0x0d]),
  power: bytes(250, 0, 1, 2),
  resize: bytes(251, 0, [4, 0, 3, 0], 1, 0, zeros(16)),
  qemuKey: bytes(255, 0, [0, 1], [0, 0, 0, 0x61], [0, 0, 0, 0x1e]),
  qemuAudioOn: bytes(255, 1, [0, 0]),
  qemuAudioFormat: bytes(255, 1, [0, 2], [1, 2], [0, 0, 0xac, 0x44]),
}

function ready(mode: 'control' | 'view', version = VERSION): RfbFilter {
  const filter = createRfbFilter(() => mode === 'control')
  filter.fromServer(version)
  return filter
}

/** Sends `all` in pieces of `size` bytes. */
function inPieces(filter: RfbFilter, all: Buffer, size: number): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < all.length; at += size) parts.push(filter.fromClient(all.subarray(at, at + size)))
  return Buffer.concat(parts)
}

describe('RFB filter', () => {
  it('passes exactly what asks for pictures in view mode, however it is split', () => {
    const { manyEncodings, ...small } = ALLOWED
    const mixed = Object.values(DROPPED).flatMap((dropped) => [dropped, ...Object.values(small), dropped])
    const expected = Object.values(DROPPED).flatMap(() => Object.values(small))
    for (const size of [1, 2, 3, 7, 64, 100_000]) {
      const passed = inPieces(ready('view'), bytes(HANDSHAKE, ...mixed), size)
      expect(passed.equals(bytes(VERSION, 1, 1, ...expected))).toBe(true)
    }
    const passed = inPieces(ready('view'), bytes(HANDSHAKE, manyEncodings, DROPPED.key), 10_007)
    expect(passed.equals(bytes(VERSION, 1, 1, manyEncodings))).toBe(true)
  })

  it.each(Object.entries(DROPPED))('forwards nothing of %s in view mode', (_name, message) => {
    const filter = ready('view')
    filter.fromClient(HANDSHAKE)
    expect(filter.fromClient(message)).toHaveLength(0)
    expect(filter.fromClient(ALLOWED.updateRequest).equals(ALLOWED.updateRequest)).toBe(true)
  })

  it('passes everything after the handshake in control mode', () => {
    const all = bytes(...Object.values(DROPPED), ...Object.values(ALLOWED))
    for (const size of [1, 5, 100_000]) {
      const passed = inPieces(ready('control'), bytes(HANDSHAKE, all), size)
      expect(passed.equals(bytes(VERSION, 1, 1, all))).toBe(true)
    }
  })

  it('lets go of what is held down when the right to type is lost, and then lets nothing through', () => {
    let mayType = true
    const filter = createRfbFilter(() => mayType)
    filter.fromServer(VERSION)
    filter.fromClient(HANDSHAKE)
    const otherKey = bytes(4, 1, zeros(2), [0, 0, 0, 0x62])
    const otherUp = bytes(4, 0, zeros(2), [0, 0, 0, 0x62])
    const cut = Buffer.from(DROPPED.cutText)
    filter.fromClient(bytes(DROPPED.key, otherKey, otherUp, DROPPED.pointer, DROPPED.qemuKey, cut.subarray(0, 11)))
    mayType = false
    expect(filter.changed()).toHaveLength(0) // in the middle of a message: its rest comes first
    const up = bytes(4, 0, zeros(2), [0, 0, 0xff, 0x0d])
    const qemuUp = bytes(255, 0, [0, 0], [0, 0, 0, 0x61], [0, 0, 0, 0x1e])
    const buttonUp = bytes(5, 0, [0, 10, 0, 10])
    const rest = filter.fromClient(bytes(cut.subarray(11), up, DROPPED.pointer, ALLOWED.updateRequest))
    expect(rest.equals(bytes(cut.subarray(11), up, qemuUp, buttonUp, ALLOWED.updateRequest))).toBe(true)
    expect(filter.changed()).toHaveLength(0)
    mayType = true
    expect(filter.fromClient(DROPPED.key).equals(DROPPED.key)).toBe(true)
    mayType = false
    expect(filter.changed().equals(up)).toBe(true)
  })

  it('makes every client a sharing one, so that nobody is pushed out', () => {
    expect(ready('control').fromClient(HANDSHAKE).at(-1)).toBe(1)
  })

  it('follows version 3.3, where the server alone chooses the security', () => {
    const old = Buffer.from('RFB 003.003\n')
    const passed = ready('view', old).fromClient(bytes(old, 0, DROPPED.key, ALLOWED.updateRequest))
    expect(passed.equals(bytes(old, 1, ALLOWED.updateRequest))).toBe(true)
  })

  it('reads the server’s version when it comes byte by byte', () => {
    const filter = createRfbFilter(() => false)
    for (const byte of bytes(VERSION, [1, 1])) filter.fromServer(Buffer.of(byte))
    expect(filter.fromClient(VERSION).equals(VERSION)).toBe(true)
  })

  it.each([
    ['an unknown message', [HANDSHAKE, bytes(7, zeros(20))]],
    ['a message of another registry', [HANDSHAKE, bytes(252, zeros(20))]],
    ['an unknown QEMU message', [HANDSHAKE, bytes(255, 9, zeros(20))]],
    ['an unknown audio operation', [HANDSHAKE, bytes(255, 1, [0, 9])]],
    ['a fence that is too long', [HANDSHAKE, bytes(248, zeros(7), 65, zeros(65))]],
    ['another security type', [VERSION, bytes(2)]],
    ['no RFB at all', [Buffer.from('GET / HTTP/1')]],
    ['a version that does not exist', [Buffer.from('RFB 003.009\n')]],
  ])('ends on %s', (_name, parts) => {
    const filter = ready('view')
    expect(() => parts.forEach((part) => filter.fromClient(part))).toThrow(RfbViolation)
  })

  it('ends when the client claims a newer version than the server offers, or speaks first', () => {
    // Else the server would read the chosen security type as something else, and we would lose count.
    expect(() => ready('view', Buffer.from('RFB 003.003\n')).fromClient(VERSION)).toThrow(RfbViolation)
    expect(() => createRfbFilter(() => false).fromClient(VERSION)).toThrow(RfbViolation)
    expect(() => createRfbFilter(() => false).fromServer(Buffer.from('SSH-2.0-OpenSSH'))).toThrow(RfbViolation)
  })
})
