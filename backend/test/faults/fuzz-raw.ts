import type { Random } from './fuzz-random.js'
import type { Operation } from './fuzz-schema.js'

const LINES = [
  'GET / HTTP/1.1',
  'GET / HTTP/0.9',
  'GET / HTTP/2.0',
  'GET / HTTP/1.1 HTTP/1.1',
  'GET  /  HTTP/1.1',
  'GET /',
  'GET',
  '',
  ' GET / HTTP/1.1',
  'get / http/1.1',
  'G\0T / HTTP/1.1',
  'GET /\0 HTTP/1.1',
  'GET /\x80\xff HTTP/1.1',
  'GET http://evil.example/api/nodes HTTP/1.1',
  'GET //evil.example/%2e%2e HTTP/1.1',
  'GET ? HTTP/1.1',
  'GET * HTTP/1.1',
  'OPTIONS * HTTP/1.1',
  'CONNECT 127.0.0.1:22 HTTP/1.1',
  'CONNECT evil.example:443 HTTP/1.1',
  'PRI * HTTP/2.0',
  'POST /api/session HTTP/1.1',
  'POST /api/nodes HTTP/1.0',
  '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
  'RFB 003.008',
  'HELO evil.example',
]
const HEADERS = [
  'Host: 127.0.0.1',
  'Host: a\r\nHost: b',
  'Host',
  'Host : x',
  ' Host: folded',
  ': nothing',
  'Content-Length: 5',
  'Content-Length: -1',
  'Content-Length: 5, 6',
  'Content-Length: 5\r\nContent-Length: 6',
  'Content-Length: 99999999999999999999',
  'Content-Length: 0x10',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: chunked\r\nContent-Length: 4',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: xchunked',
  'Connection: close',
  'Connection: keep-alive, Upgrade',
  'Upgrade: websocket',
  'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__',
  'Expect: 100-continue',
  'Content-Type: application/json',
  'X: \x01\x02\x7f',
  'X: a\nb',
  'X: a\rb',
  `X: ${'a'.repeat(20_000)}`,
  `${'X'.repeat(9000)}: a`,
  'X\0: a',
  'Cookie: \xff\xfe',
]
const BODIES = [
  '',
  'hello',
  '5\r\nhello\r\n0\r\n\r\n',
  '0\r\n\r\nGET /api/nodes HTTP/1.1\r\nHost: a\r\n\r\n',
  'ffffffffffffffff\r\nx',
  '-1\r\nx\r\n',
  '5;ext="\r\n\r\n',
  'zz\r\n',
  '{"a":1}',
  '5\nhello\n0\n\n',
]

/** Bytes that are nearly HTTP/1.1, or not at all; pure. Each is sent on a connection of its own, which then ends. */
export function rawBytes(random: Random, operations: Operation[]): Buffer {
  if (random.chance(0.1)) return random.bytes(1 + random.whole(600))
  const { method, path } = random.pick(operations)
  const line = random.chance(0.5) ? random.pick(LINES) : `${method} ${path} HTTP/1.1`
  const headers = Array.from({ length: random.whole(random.chance(0.02) ? 3000 : 6) }, () => random.pick(HEADERS))
  const end = random.pick(['\r\n', '\r\n', '\r\n', '\n', '\r'])
  const text = [line, ...headers, '', random.pick(BODIES)].join(end)
  const bytes = Buffer.from(text, 'latin1')
  const flips = random.chance(0.3) ? 1 + random.whole(4) : 0
  for (let flip = 0; flip < flips; flip += 1) bytes[random.whole(bytes.length)] = random.whole(256)
  return random.chance(0.2) ? bytes.subarray(0, random.whole(bytes.length)) : bytes
}
