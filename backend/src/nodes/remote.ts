import http, { type IncomingMessage, type RequestOptions } from 'node:http'
import https from 'node:https'
import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { isSandlabError, SandlabError } from '../domain/error.js'
import { MIB } from '../domain/units.js'
import { errnoOf } from '../system/durable-file.js'
import { isNotNow, remoteRefusal } from './remote-refusal.js'

export interface RemoteOptions {
  /** Base address of the other SandLabX; http or https. */
  url: string
  /** An API token there. Never logged, never written anywhere. */
  token: string
  signal: AbortSignal
  /** Between tries after the connection was lost; then it is given up. Each success starts anew. */
  pausesMs?: readonly number[]
  onLost?: (reason: string) => void
}

export interface RemoteRequest {
  method: 'GET' | 'POST' | 'HEAD' | 'PATCH' | 'DELETE'
  /** `/api/…`. */
  path: string
  headers?: Record<string, string>
  /** JSON unless it is a Buffer. */
  body?: unknown
}

export interface RemoteAnswer {
  status: number
  headers: IncomingMessage['headers']
  body: string
}

export interface Remote {
  /** For people: host and port. */
  readonly host: string
  /** One try. Throws LostConnection, or what the other side's refusal means here. */
  once(request: RemoteRequest): Promise<RemoteAnswer>
  /** Tries again while nothing but the connection fails. For requests that may be repeated. Throws `remote_failed`. */
  patiently<T>(work: () => Promise<T>): Promise<T>
  /** An answer of this form; patient. */
  ask<T>(schema: z.ZodType<T>, request: RemoteRequest): Promise<T>
  /** The same, until another signal. */
  with(signal: AbortSignal): Remote
}

/** Nobody can say whether the other side has heard us. */
export class LostConnection extends Error {}

/** Half a minute: a restart of the other side, a changed network. */
export const PAUSES_MS: readonly number[] = [250, 500, 1000, 2000, 4000, 8000, 15_000]
const SILENCE_MS = 60_000
const ANSWER_BYTES = 4 * MIB
/** Trying again would not help. */
const HOPELESS = /^(ENOTFOUND|EPROTO|CERT_|ERR_TLS|ERR_SSL|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|HOSTNAME_MISMATCH)/

/**
 * Speaks with another SandLabX as a client with a token does. No redirect is followed, a wrong certificate is an error,
 * and answers are bounded and parsed. Throws `bad_request` for an address that is none.
 */
export function createRemote(options: RemoteOptions): Remote {
  const base = parseBase(options.url)
  const once = (request: RemoteRequest) => send(base, options, request)
  const patiently = <T>(work: () => Promise<T>) => withTries(base.host, options, work)
  return {
    host: base.host,
    once,
    patiently,
    async ask(schema, request) {
      const { body } = await patiently(() => once(request))
      return parse(base.host, schema, body)
    },
    with: (signal) => createRemote({ ...options, signal }),
  }
}

function parseBase(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url && (url.protocol === 'http:' || url.protocol === 'https:') && url.username === '' && url.password === '') {
    return url
  }
  throw new SandlabError(
    'bad_request',
    'The address of the other SandLabX must be http or https, without a password.',
    {
      hint: 'For example https://lab.example.org.',
    },
  )
}

function parse<T>(host: string, schema: z.ZodType<T>, body: string): T {
  try {
    return schema.parse(JSON.parse(body))
  } catch (error) {
    throw new SandlabError('remote_failed', `${host} answers, but not as a SandLabX of this version does.`, {
      hint: 'Is the address right, and is that SandLabX as new as this one? Nothing was made there.',
      cause: error,
    })
  }
}

async function withTries<T>(host: string, options: RemoteOptions, work: () => Promise<T>): Promise<T> {
  const { signal, pausesMs = PAUSES_MS } = options
  for (let tries = 0; ; tries += 1) {
    signal.throwIfAborted()
    try {
      return await work()
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof LostConnection)) throw error
      const waitMs = pausesMs[tries]
      if (waitMs === undefined) throw unreachable(host, error)
      options.onLost?.(error.message)
      await pause(waitMs, undefined, { signal })
    }
  }
}

function unreachable(host: string, cause: Error): SandlabError {
  return new SandlabError('remote_failed', `${host} does not answer: ${cause.message}.`, {
    hint: 'Try again with the same key: what is there already is kept for two days and not sent again.',
    cause,
  })
}

async function send(base: URL, options: RemoteOptions, request: RemoteRequest): Promise<RemoteAnswer> {
  options.signal.throwIfAborted()
  let answer: RemoteAnswer
  try {
    answer = await exchange(base, options, request)
  } catch (error) {
    options.signal.throwIfAborted()
    throw connectionFailure(base.host, error)
  }
  if (answer.status >= 200 && answer.status < 300) return answer
  if (isNotNow(answer) || isUnsettled(request, answer)) throw new LostConnection(`it answered ${answer.status}`)
  throw remoteRefusal(base.host, request, answer)
}

/** Bytes of an earlier try are still being written there: how many, a later question tells. */
function isUnsettled({ method }: RemoteRequest, { status }: RemoteAnswer): boolean {
  return method === 'PATCH' && (status === 409 || status === 423 || status === 500)
}

function connectionFailure(host: string, error: unknown): unknown {
  if (isSandlabError(error)) return error
  const code = errnoOf(error) ?? ''
  if (!HOPELESS.test(code)) return new LostConnection(code === '' ? wordsOf(error) : code, { cause: error })
  const words = code === 'ENOTFOUND' ? 'there is no such host' : `its certificate or its TLS is not right (${code})`
  return new SandlabError('remote_failed', `Could not reach ${host}: ${words}.`, {
    hint: 'Check the address. A certificate of your own authority is made known with NODE_EXTRA_CA_CERTS.',
    cause: error,
  })
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : 'the connection ended'
}

function exchange(base: URL, options: RemoteOptions, request: RemoteRequest): Promise<RemoteAnswer> {
  const { body } = request
  const bytes = body === undefined || Buffer.isBuffer(body) ? body : Buffer.from(JSON.stringify(body))
  const settings: RequestOptions = {
    method: request.method,
    path: `${base.pathname.replace(/\/$/, '')}${request.path}`,
    headers: {
      authorization: `Bearer ${options.token}`,
      'user-agent': 'SandLabX',
      accept: 'application/json',
      'accept-encoding': 'identity',
      ...(bytes && !Buffer.isBuffer(body) ? { 'content-type': 'application/json' } : {}),
      ...(bytes ? { 'content-length': String(bytes.length) } : {}),
      ...request.headers,
    },
    signal: options.signal,
    timeout: SILENCE_MS,
    agent: false,
  }
  const open = base.protocol === 'https:' ? https.request : http.request
  return new Promise((resolve, reject) => {
    const sent = open(base.origin, settings, (response) => resolve(read(response)))
    sent.on('timeout', () => sent.destroy(new Error(`silent for ${SILENCE_MS / 1000} s`)))
    sent.on('error', reject)
    sent.end(bytes)
  })
}

async function read(response: IncomingMessage): Promise<RemoteAnswer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > ANSWER_BYTES) {
      response.destroy()
      throw new SandlabError('remote_failed', 'Its answer is larger than that of any SandLabX.')
    }
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks).toString('utf8')
  return { status: response.statusCode ?? 0, headers: response.headers, body }
}
