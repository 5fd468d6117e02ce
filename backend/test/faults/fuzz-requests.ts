import type { Random } from './fuzz-random.js'
import { type OpenApi, type Operation, validValue } from './fuzz-schema.js'
import { distorted, hostileValue, HOSTILE_TEXTS, type Json, PROTOTYPE_NAMES } from './fuzz-values.js'

export const ASKERS = ['anonymous', 'student', 'instructor', 'administrator', 'owner', 'session'] as const
export type Asker = (typeof ASKERS)[number]

/** Well-framed HTTP/1.1 whose content is wrong in one way or several. `@node@` and the like become real ids. */
export interface FuzzRequest {
  asker: Asker
  method: string
  target: string
  headers: [string, string][]
  body: Buffer | undefined
  /** The route it was made from. */
  operation: Operation
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'LINK', 'M-SEARCH']
/** Beside the document: other protocols, the page, and doors that others have left open. */
const OTHER_PATHS = [
  '/',
  '/api',
  '/api/',
  '/api/docs',
  '/api/docs/swagger-ui.css',
  '/api/docs/../../../package.json',
  '/api/uploads',
  '/api/uploads/',
  `/api/uploads/${'0'.repeat(32)}`,
  '/socket.io/nothing',
  '/assets/x.js',
  '/assets/page.js',
  '/assets/..%2f..%2fpackage.json',
  '/index.html',
  '/.env',
  '/.git/config',
  '/metrics/..',
  '/index.php',
]
const PATH_TRICKS = [
  '%',
  '%0',
  '%00',
  '%2e%2e%2f',
  '..;/',
  '%ff%fe',
  '%c0%ae',
  '%ed%a0%80',
  '//',
  '/./',
  '/../',
  '\\..\\',
  ';a=b',
  '%2F',
  '%25%32%65',
  '%0d%0aX:%20y',
  '%F0%9F%98%80',
  '+',
  '*',
  ':id',
  '{id}',
  '(.*)',
  'a'.repeat(3000),
]
const CONTENT_TYPES = [
  'application/json; charset=utf-8',
  'application/json; charset=utf-16',
  'application/json; charset=nothing',
  'application/json; charset="',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'multipart/form-data',
  'text/plain',
  'application/offset+octet-stream',
  'application/vnd.api+json',
  '*/*',
  ';',
  'a',
  '',
]
const ODD_HEADERS: [string, string[]][] = [
  ['Content-Encoding', ['gzip', 'br', 'deflate', 'zstd', 'identity', 'gzip, gzip', 'x']],
  ['Accept', ['text/html', '*/*;q=0', ';;;', 'application/xml']],
  ['Accept-Encoding', ['gzip', 'br', 'identity;q=0', '*;q=0', ',,,']],
  ['Expect', ['100-continue', '200-ok']],
  ['Range', ['bytes=0-1', 'bytes=-1', 'bytes=5-1', 'bytes=0-0,1-1', 'x']],
  ['If-None-Match', ['*', '"', 'W/""']],
  ['If-Modified-Since', ['never', 'Sat, 21 Nov 2026 00:00:00 GMT']],
  ['If-Match', ['"nothing"']],
  [
    'Cookie',
    ['sandlabx_session=', 'sandlabx_session=%', '__Host-sandlabx_session=a; sandlabx_session=b', '=;=;=', ';;'],
  ],
  ['X-Forwarded-For', ['1.2.3.4', ','.repeat(500), 'a\tb']],
  ['X-Forwarded-Host', ['evil.example']],
  ['X-Forwarded-Proto', ['https', 'gopher']],
  ['Origin', ['null', 'http://evil.example', 'http://', '']],
  ['Sec-Fetch-Site', ['cross-site', 'same-site', 'x']],
  ['X-HTTP-Method-Override', ['DELETE']],
  ['Idempotency-Key', ['', 'a', 'x'.repeat(4000), '../..', "'", '00000000-0000-4000-8000-000000000000']],
  ['Tus-Resumable', ['1.0.0', '0.0.0', 'x']],
  ['Upload-Length', ['0', '-1', '1', '99999999999999999999', 'NaN', '1e3', '10']],
  ['Upload-Offset', ['0', '-1', '99999999999', 'x']],
  ['Upload-Metadata', ['filename', 'a b c', '=', 'name ////', ',']],
  ['Upload-Concat', ['partial', 'final;/api/uploads/a', 'x']],
  ['Upload-Defer-Length', ['1', '2']],
  ['X-Request-Id', ['a', '\u00e9', 'x'.repeat(500)]],
  ['Authorization', ['Bearer', 'Bearer  ', 'Bearer a b', 'Basic YTpi', 'Bearer sbx_', `Bearer sbx_${'a'.repeat(43)}`]],
  ['X-Fuzz', ['x'.repeat(8000)]],
]

/** Pure: the same request for the same chance. */
export function requestOf(random: Random, operations: Operation[], document: OpenApi): FuzzRequest {
  const operation = random.pick(operations)
  const asker = random.pick(ASKERS)
  const request: FuzzRequest = {
    asker,
    method: operation.method,
    target: pathOf(operation, random),
    headers: [['Host', '127.0.0.1']],
    body: undefined,
    operation,
  }
  if (operation.body) withBody(request, document, random)
  else if (random.chance(0.1)) setBody(request, Buffer.from(JSON.stringify(hostileValue(random))))
  const tricks: [number, (request: FuzzRequest, random: Random) => void][] = [
    [0.12, wrongMethod],
    [0.15, trickyPath],
    [0.06, otherPath],
    [0.2, pollutedQuery],
    [0.12, wrongContentType],
    [0.3, oddHeader],
    [0.08, brokenBody],
  ]
  for (const [chance, trick] of tricks) if (random.chance(chance)) trick(request, random)
  return request
}

/** What goes over the wire, once the places for ids are filled. */
export function bytesOf(request: FuzzRequest, fill: (text: string) => string, extra: [string, string][]): Buffer {
  const { method, target, body } = request
  const filled = body && Buffer.from(fill(body.toString('latin1')), 'latin1')
  const length: [string, string][] = filled ? [['Content-Length', String(filled.length)]] : []
  const lines = [...request.headers, ...extra, ...length].map(([name, value]) => `${name}: ${value}`)
  const head = [`${method} ${fill(target)} HTTP/1.1`, ...lines].join('\r\n')
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`, 'latin1'), filled ?? Buffer.alloc(0)])
}

function pathOf({ path, parameters }: Operation, random: Random): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, () =>
    random.chance(0.6) ? idFor(path) : encodeURIComponent(safe(random.pick(HOSTILE_TEXTS))),
  )
  const query = parameters.filter((one) => one.in === 'query' && random.chance(0.4))
  if (query.length === 0) return filled
  const pairs = query.map(
    ({ name }) => `${name}=${encodeURIComponent(safe(random.pick([...HOSTILE_TEXTS, '1', 'true'])))}`,
  )
  return `${filled}?${pairs.join('&')}`
}

/** `encodeURIComponent` refuses half a surrogate pair. */
const safe = (text: string) => Buffer.from(text).toString()

function idFor(path: string): string {
  if (path.startsWith('/api/users')) return '@user@'
  if (path.startsWith('/api/images')) return 'fuzz-image'
  return path.startsWith('/api/nodes') ? '@node@' : '@operation@'
}

function setBody(request: FuzzRequest, body: Buffer): void {
  request.body = body
  if (!request.headers.some(([name]) => name === 'Content-Type')) {
    request.headers.push(['Content-Type', 'application/json'])
  }
}

function withBody(request: FuzzRequest, document: OpenApi, random: Random): void {
  let value: Json = validValue(request.operation.body ?? {}, document, random)
  // One in twenty stays as it is: a state in which everything was refused would test little.
  const changes = random.chance(0.05) ? 0 : 1 + random.whole(3)
  for (let change = 0; change < changes; change += 1) value = distorted(value, random)
  setBody(request, Buffer.from(JSON.stringify(value)))
}

function wrongMethod(request: FuzzRequest, random: Random): void {
  request.method = random.pick(METHODS)
}

function trickyPath(request: FuzzRequest, random: Random): void {
  const trick = random.pick(PATH_TRICKS)
  const parts = request.target.split('/')
  const at = 1 + random.whole(parts.length)
  if (random.chance(0.5)) parts.splice(at, 1, trick)
  else parts[Math.min(at, parts.length - 1)] += trick
  const target = parts.join('/')
  request.target = target.startsWith('/') ? target : `/${target}`
}

function otherPath(request: FuzzRequest, random: Random): void {
  request.target = random.pick(OTHER_PATHS)
  if (request.target.startsWith('/api/uploads')) request.method = random.pick(['POST', 'PATCH', 'HEAD', 'DELETE'])
}

function pollutedQuery(request: FuzzRequest, random: Random): void {
  const names = [...PROTOTYPE_NAMES, 'limit', 'before', 'deleteStorage', 'a[b]', 'a[__proto__][x]', 'a[]']
  const pairs = Array.from({ length: 1 + random.whole(random.chance(0.05) ? 300 : 3) }, () => {
    const name = encodeURIComponent(safe(random.pick(names)).slice(0, 200))
    return random.chance(0.1) ? name : `${name}=${encodeURIComponent(safe(random.pick(HOSTILE_TEXTS)).slice(0, 300))}`
  })
  const query = pairs.join(random.pick(['&', '&', ';', '&&'])).slice(0, 8000)
  request.target += (request.target.includes('?') ? '&' : '?') + query
}

function wrongContentType(request: FuzzRequest, random: Random): void {
  request.headers = request.headers.filter(([name]) => name !== 'Content-Type')
  if (random.chance(0.85)) request.headers.push(['Content-Type', random.pick(CONTENT_TYPES)])
}

function oddHeader(request: FuzzRequest, random: Random): void {
  const count = 1 + random.whole(4)
  for (let header = 0; header < count; header += 1) {
    const [name, values] = random.pick(ODD_HEADERS)
    request.headers.push([name, random.pick(values)])
  }
}

function brokenBody(request: FuzzRequest, random: Random): void {
  const body = request.body ?? Buffer.from('{"name":"fuzz-a"}')
  const text = body.toString('latin1')
  const broken: (() => Buffer)[] = [
    () => body.subarray(0, random.whole(body.length + 1)),
    () => Buffer.concat([body, random.bytes(1 + random.whole(20))]),
    () => Buffer.concat([Buffer.from('\ufeff'), body]),
    () => random.bytes(random.whole(400)),
    () => Buffer.from(text.replace(/"([^"]*)"/, '"\\ud800$1"'), 'latin1'),
    () => Buffer.from(text.replace('{', '{"name":1,"name":2,"__proto__":{"admin":true},'), 'latin1'),
    () => Buffer.from(text.replaceAll(/\d+/g, () => random.pick(['NaN', 'Infinity', '1e999', '0x10', '01', '-']))),
    () => Buffer.from('['.repeat(1 + random.whole(100_000))),
    () => Buffer.from('{"a":'.repeat(1 + random.whole(20_000))),
    () => Buffer.from('"'.padEnd(random.whole(300_000), 'x')),
    () => Buffer.from(random.pick(['null', '1', '"a"', '[]', 'true', ' ', '\0', '{}{}', "{'a':1}", '{"a":1,}', '//x'])),
  ]
  setBody(request, random.pick(broken)())
}
