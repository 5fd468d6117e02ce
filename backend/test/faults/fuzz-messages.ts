import { HOSTILE_NUMBERS, HOSTILE_TEXTS, hostileValue, PROTOTYPE_NAMES } from './fuzz-values.js'
import type { Random } from './fuzz-random.js'

/** One WebSocket message, or bytes that are no frame at all. */
export interface FuzzMessage {
  kind: 'text' | 'binary' | 'frame'
  bytes: Buffer
}

const text = (content: string): FuzzMessage => ({ kind: 'text', bytes: Buffer.from(content) })
const binary = (bytes: Buffer): FuzzMessage => ({ kind: 'binary', bytes })

/**
 * To a serial console: bytes for the guest, and control messages. What makes the server hang up comes last, or the rest
 * would be sent to nobody.
 */
export function serialMessage(random: Random, isLast: boolean): FuzzMessage {
  if (isLast && random.chance(0.3)) return brokenFrame(random)
  if (!isLast && random.chance(0.35)) return binary(random.bytes(random.whole(random.chance(0.02) ? 60_000 : 200)))
  const number = () => random.pick([...HOSTILE_NUMBERS, 80, 24, 1000, 1001])
  const right = [
    { type: 'take-control' },
    { type: 'release-control' },
    { type: 'ack', bytes: random.whole(100_000) },
    { type: 'resize', columns: 80, rows: 24 },
  ]
  if (!isLast) return text(JSON.stringify(random.pick(right)))
  return random.pick([
    () => text(JSON.stringify({ type: 'ack', bytes: number() })),
    () => text(JSON.stringify({ type: 'resize', columns: number(), rows: number() })),
    () => text(JSON.stringify({ ...random.pick(right), [random.pick(PROTOTYPE_NAMES)]: 1 })),
    () => text(JSON.stringify({ type: random.pick(HOSTILE_TEXTS) })),
    () => text(JSON.stringify(hostileValue(random))),
    () => text(random.pick(HOSTILE_TEXTS)),
    () => text('['.repeat(random.whole(30_000))),
    () => text(JSON.stringify({ type: 'ack', bytes: 1 }).slice(0, random.whole(22))),
  ])()
}

/** To a screen console, after or within the RFB handshake (RFC 6143). `view` filters, `control` passes on. */
export function screenMessage(random: Random, isLast: boolean, step: number): FuzzMessage {
  if (isLast && random.chance(0.3)) return brokenFrame(random)
  if (isLast && random.chance(0.3)) return text(JSON.stringify(hostileValue(random)))
  const handshake = ['RFB 003.008\n', '\x01', '\x01']
  const due = handshake[step]
  if (due !== undefined && !isLast) return binary(Buffer.from(due, 'latin1'))
  if (due !== undefined)
    return binary(Buffer.from(random.pick(['RFB 003.003\n', 'RFB 999.999\n', 'RFB', '\0', '\xff'])))
  return binary(rfbMessage(random, isLast))
}

/** Client messages by type with their lengths, right or wrong. */
function rfbMessage(random: Random, isLast: boolean): Buffer {
  const types = [0, 2, 3, 4, 5, 6, 150, 248, 250, 251, 255, 1, 7, 99]
  const header = Buffer.concat([
    Buffer.of(isLast ? random.pick(types) : random.pick(types.slice(0, 6))),
    random.bytes(19),
  ])
  const type = header[0] ?? 0
  if (type === 0) return header
  if (type === 2) return Buffer.concat([Buffer.of(2, 0, 0, 2), random.bytes(8)])
  if (type === 3) return Buffer.concat([Buffer.of(3, random.whole(2)), random.bytes(8)])
  if (type === 4) return header.subarray(0, 8)
  if (type === 5) return header.subarray(0, 6)
  if (type === 6 && !isLast) return Buffer.concat([Buffer.of(6, 0, 0, 0, 0, 0, 0, 5), Buffer.from('hello')])
  return random.chance(0.5) ? header : header.subarray(0, 1 + random.whole(19))
}

const EVENT_NAMES = [
  'subscribe',
  'error',
  'connect',
  'disconnect',
  'disconnecting',
  'newListener',
  'change',
  '__proto__',
]

/** A packet of socket.io over engine.io 4. */
export function liveMessage(random: Random, isLast: boolean): FuzzMessage {
  if (isLast && random.chance(0.2)) return brokenFrame(random)
  if (isLast && random.chance(0.1)) return binary(random.bytes(random.whole(300)))
  if (isLast) return oddPacket(random)
  const topics = random.pick([['nodes'], ['nodes', 'audit', 'users'], [], Array.from({ length: 50 }, () => 'nodes')])
  return random.pick([
    () => text(`42${JSON.stringify(['subscribe', { topics }])}`),
    () => text(`42${random.whole(100)}${JSON.stringify(['subscribe', { topics }])}`),
    () => text(`42${JSON.stringify(['subscribe', hostileValue(random), hostileValue(random)])}`),
    () => text(`42${JSON.stringify([random.pick(EVENT_NAMES), hostileValue(random)])}`),
    () => text(`42${JSON.stringify(['subscribe', { topics, [random.pick(PROTOTYPE_NAMES)]: 1 }])}`),
    () => text('3'),
    () => text(random.pick(['5', '40', '40/admin,', '2probe', '42/admin,["subscribe"]', '431["x"]'])),
  ])()
}

function oddPacket(random: Random): FuzzMessage {
  const json = JSON.stringify(hostileValue(random))
  return text(
    random.pick([
      '2',
      '2probe',
      '5',
      '6',
      '1',
      '9',
      '40',
      '40/admin,',
      `40${json}`,
      '41',
      `42${json}`,
      `42/admin,["subscribe"]`,
      '42["subscribe"',
      '42[]',
      '42{}',
      '4299999999999999999999["subscribe"]',
      `431${json}`,
      `43["a"]`,
      '44{"message":"x"}',
      '451-["subscribe",{"_placeholder":true,"num":0}]',
      '451-["subscribe",{"_placeholder":true,"num":"splice"}]',
      '4599999-["subscribe"]',
      '45-["subscribe"]',
      '461-["a"]',
      '4',
      '',
      `4${random.pick(HOSTILE_TEXTS)}`,
    ]),
  )
}

/** Bytes of RFC 6455 frames that no client may send. */
export function brokenFrame(random: Random): FuzzMessage {
  const mask = random.bytes(4)
  const payload = random.bytes(random.whole(20))
  const masked = Buffer.from(payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0)))
  const frame = (first: number, second = 0x80 | payload.length, body = [mask, masked]) =>
    Buffer.concat([Buffer.of(first, second), ...body])
  const bytes = random.pick([
    () => frame(0x82, payload.length, [payload]), // not masked
    () => frame(0xf2), // reserved bits
    () => frame(0x83 + random.whole(5)), // reserved opcodes
    () => frame(0x80), // a continuation of nothing
    () => frame(0x02), // begins a message that does not end
    () => frame(0x09), // a ping in pieces
    () => frame(0x88, 0x81, [mask, Buffer.of(1)]), // a close code of one byte
    () => Buffer.concat([Buffer.of(0x88, 0x82), Buffer.alloc(4), Buffer.of(0x03, 0xed)]), // close code 1005
    () => Buffer.concat([Buffer.of(0x81, 0x82), Buffer.alloc(4), Buffer.of(0xc3, 0x28)]), // text that is no UTF-8
    () => Buffer.concat([Buffer.of(0x82, 0xff), Buffer.alloc(8, 0xff), mask]), // 2^64 - 1 bytes
    () => Buffer.concat([Buffer.of(0x82, 0xff, 0, 0, 0, 0, 0x7f, 0, 0, 0), mask]), // 2 GiB are announced
    () => Buffer.concat([Buffer.of(0x89, 0xfe, 0x03, 0xe8), mask, Buffer.alloc(1000)]), // a ping that is too long
    () => random.bytes(1 + random.whole(60)),
  ])()
  return { kind: 'frame', bytes }
}

const UPGRADE_PATHS = [
  '/ws/console',
  '/ws/console?ticket=',
  '/ws/console?ticket=%00',
  `/ws/console?ticket=${'a'.repeat(43)}`,
  `/ws/console?ticket=${'a'.repeat(5000)}`,
  '/ws/console?ticket[]=a&ticket[__proto__]=b',
  '/ws/console/../console',
  '//ws/console',
  'http://evil.example/ws/console',
  '/ws/console#a',
  '/%ff',
  '/socket.io/?EIO=4&transport=websocket',
  '/socket.io/?EIO=3&transport=websocket',
  '/socket.io/?EIO=4&transport=websocket&sid=nothing',
  '/socket.io/?EIO=4&transport=__proto__',
  '/socket.io/?EIO=4&transport=webtransport',
  '/socket.io/',
  '/socket.io',
  '/socket.io/../ws/console',
  '/',
  '*',
]
const UPGRADE_HEADERS = [
  'Upgrade: websocket',
  'Upgrade: WebSocket, h2c',
  'Upgrade: h2c',
  'Connection: Upgrade',
  'Connection: keep-alive',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Key: short',
  'Sec-WebSocket-Key:',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Version: 8',
  'Sec-WebSocket-Version: 13, 13',
  'Sec-WebSocket-Protocol: a, a, ,',
  'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99',
  'Sec-WebSocket-Extensions: ;;;=',
  'Origin: http://evil.example',
  'Origin: null',
  'Cookie: sandlabx_session=%',
  'Authorization: Bearer x',
  'Content-Length: 5',
  'Transfer-Encoding: chunked',
]

/** An upgrade that must not succeed as a console; `url` has the place of a real console's path in a third of all. */
export function upgradeBytes(random: Random, console: string): Buffer {
  const path = random.chance(0.3) ? console : random.pick(UPGRADE_PATHS)
  const wanted = UPGRADE_HEADERS.filter((_, index) => [0, 3, 5, 8].includes(index))
  const headers = random.chance(0.5) ? [...wanted] : []
  for (let count = random.whole(5); count > 0; count -= 1) headers.push(random.pick(UPGRADE_HEADERS))
  const method = random.pick(['GET', 'GET', 'GET', 'POST', 'CONNECT', 'PUT'])
  const head = [`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1', ...headers].join('\r\n')
  const tail = random.chance(0.3) ? brokenFrame(random).bytes : Buffer.alloc(0)
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), tail])
}
