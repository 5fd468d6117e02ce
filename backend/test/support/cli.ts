import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough, Writable } from 'node:stream'
import type { Io } from '../../src/cli/io.js'
import { runCli } from '../../src/cli/program.js'

export interface CliOptions {
  env?: Record<string, string | undefined>
  /** Standard output and error are a terminal. */
  terminal?: boolean
  /** Of that terminal; some say 0. */
  columns?: number
  /** What is typed or piped into it; it ends after that unless `terminal`. */
  stdin?: string
  homeDir?: string
  serverScript?: string
}

export interface CliResult {
  exitCode: number
  out: string
  err: string
}

export interface CliRun {
  result: Promise<CliResult>
  signal(name: NodeJS.Signals): void
  type(text: string): void
  out(): string
  err(): string
}

/** Runs one command line inside the test, with its own streams. */
export async function cli(argv: string[], options: CliOptions = {}): Promise<CliResult> {
  return startCli(argv, options).result
}

export function startCli(argv: string[], options: CliOptions = {}): CliRun {
  const stdout = collector(options.terminal === true, options.columns)
  const stderr = collector(options.terminal === true, options.columns)
  const listeners = new Set<(signal: NodeJS.Signals) => void>()
  const stdin = Object.assign(new PassThrough(), { isTTY: options.terminal === true, setRawMode: () => stdin })
  if (options.stdin !== undefined) stdin.write(options.stdin)
  if (!options.terminal) stdin.end()
  const io: Io = {
    stdin,
    stdout: stdout.stream,
    stderr: stderr.stream,
    env: { HOME: '/nonexistent', PATH: process.env['PATH'], NO_COLOR: '1', ...options.env },
    homeDir: options.homeDir ?? '/nonexistent',
    serverScript: options.serverScript ?? '/nonexistent/dist/main.js',
    onSignal(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  return {
    result: runCli(argv, io, '0.0.0-test').then((exitCode) => ({ exitCode, out: stdout.text(), err: stderr.text() })),
    signal: (name) => listeners.forEach((listener) => listener(name)),
    type: (text) => void stdin.write(text),
    out: stdout.text,
    err: stderr.text,
  }
}

function collector(isTTY: boolean, columns = 120) {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk))
      done()
    },
  })
  return {
    stream: Object.assign(stream, { isTTY, columns, rows: 40 }),
    text: () => Buffer.concat(chunks).toString('utf8'),
  }
}

export interface StubRequest {
  /** `POST /api/nodes` */
  line: string
  body: unknown
  headers: IncomingMessage['headers']
}
export type StubAnswer = { status?: number; body?: unknown; headers?: Record<string, string>; bytes?: Buffer }
export type StubRoutes = Record<string, StubAnswer | ((request: StubRequest) => StubAnswer)>

export interface StubApi {
  url: string
  requests: StubRequest[]
  /** For what is no request: console upgrades. */
  server: Server
  /** Makes a command line ask this server. */
  env: Record<string, string>
  close(): Promise<void>
}

/** A server that answers what the test says, and remembers what it was asked. */
export async function startStubApi(routes: StubRoutes): Promise<StubApi> {
  const requests: StubRequest[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const line = `${request.method ?? ''} ${request.url ?? ''}`
      const seen = { line, body: readBody(Buffer.concat(chunks), request), headers: request.headers }
      requests.push(seen)
      const route = routes[line]
      const answer = typeof route === 'function' ? route(seen) : (route ?? notFound(line))
      response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers })
      response.end(answer.bytes ?? (answer.body === undefined ? undefined : JSON.stringify(answer.body)))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    requests,
    server,
    env: { SANDLABX_URL: url, SANDLABX_TOKEN: 'sbx_test' },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function readBody(bytes: Buffer, request: IncomingMessage): unknown {
  const isJson = request.headers['content-type']?.startsWith('application/json') === true
  return isJson && bytes.length > 0 ? JSON.parse(bytes.toString('utf8')) : bytes
}

function notFound(line: string): StubAnswer {
  return { status: 404, body: refusal('not_found', `There is no ${line}.`) }
}

export function refusal(code: string, message: string, hint?: string, details?: Record<string, unknown>) {
  return { error: { code, message, hint, details, requestId: 'r1' } }
}
