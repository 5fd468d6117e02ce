import type { z } from 'zod'
import { isSandlabError, knownCode, SandlabError } from '../domain/error.js'
import { errorBodySchema } from './answers.js'
import type { Target } from './credentials.js'
import { createKeys, withRetries } from './requests.js'
import { printable } from './text.js'

/** What can be asked with `dryRun`. */
export type PlanMethod = 'POST' | 'PATCH' | 'DELETE'

export interface Client {
  readonly target: Target
  get<T>(path: string, schema: z.ZodType<T>): Promise<T>
  /** A POST carries an Idempotency-Key, and is sent again when its answer got lost. */
  send<T>(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body: unknown, schema: z.ZodType<T>): Promise<T>
  sendForNothing(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<void>
  /** The same request with `dryRun`: it changes nothing and needs no key. */
  ask<T>(method: PlanMethod, path: string, body: unknown, schema: z.ZodType<T>): Promise<T>
  /** Any request, with our credential; a refusal throws like everywhere. */
  raw(path: string, init?: RequestInit): Promise<Response>
}

/** A stop waits for the guest, 60 s unless configured longer; fetch itself gives up after 300 s without an answer. */
const REQUEST_TIMEOUT_MS = 290_000

export interface ClientOptions {
  /** Of the first POST; fresh ones without. */
  idempotencyKey?: string | undefined
  /** Hears what the person should know meanwhile. */
  tell?: (text: string) => void
}

/**
 * The HTTP API as the command line sees it. Throws the server's own SandlabError, `unreachable` when nobody answers,
 * `internal` for an answer that is not understood.
 */
export function createClient(target: Target, options: ClientOptions = {}): Client {
  const { idempotencyKey, tell = () => undefined } = options
  const nextKey = createKeys(idempotencyKey)
  const authorization = `Bearer ${target.token}`
  const raw = (path: string, init: RequestInit = {}) =>
    request(target.url, path, { ...init, headers: { authorization, ...plainHeaders(init.headers) } })
  const sendBody = (method: string, path: string, body: unknown, headers: Record<string, string> = {}) =>
    raw(path, {
      method,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const post = async (path: string, body: unknown) => {
    const key = nextKey()
    const once = async () => wholeAnswer(target.url, await sendBody('POST', path, body, { 'idempotency-key': key }))
    const answer = await withRetries(once, tell).catch((error: unknown) => {
      throw isSandlabError(error, 'key_reused') ? keyReused(error, key) : error
    })
    if (idempotencyKey !== undefined && answer.headers.get('idempotent-replayed') === 'true') {
      tell(`This was done before with the key ${key}; this is what came of it then.`)
    }
    return answer
  }
  const sendAny = (method: string, path: string, body: unknown) =>
    method === 'POST' ? post(path, body) : sendBody(method, path, body)
  return {
    target,
    raw,
    get: async (path, schema) => readAnswer(path, await raw(path), schema),
    send: async (method, path, body, schema) => readAnswer(path, await sendAny(method, path, body), schema),
    async ask(method, path, body, schema) {
      const dry = `${path}${path.includes('?') ? '&' : '?'}dryRun=true`
      return readAnswer(path, await sendBody(method, dry, body), schema)
    },
    sendForNothing: async (method, path, body) => void (await (await sendAny(method, path, body)).arrayBuffer()),
  }
}

/** The answer with all of its body: a connection can break in the middle of it, too. */
async function wholeAnswer(url: string, response: Response): Promise<Response> {
  const bytes = await response.arrayBuffer().catch((error: unknown) => {
    throw new SandlabError('unreachable', `The connection to ${url} broke.`, { cause: error })
  })
  const { status, headers } = response
  return new Response(bytes.byteLength === 0 ? null : bytes, { status, headers })
}

function keyReused(error: SandlabError, key: string): SandlabError {
  return new SandlabError('key_reused', `The key ${key} came with another request before; nothing was done.`, {
    hint: 'Repeat a request with all of its options as they were, or give a new request a new --idempotency-key.',
    details: error.details,
    cause: error,
  })
}

/** One request; no retry, since a lost answer may mean that the change was made. See `withRetries`. */
export async function request(baseUrl: string, path: string, init: RequestInit): Promise<Response> {
  let response: Response
  try {
    const signal = init.signal ?? AbortSignal.timeout(REQUEST_TIMEOUT_MS)
    response = await fetch(`${baseUrl}${path}`, { redirect: 'error', ...init, signal })
  } catch (error) {
    throw new SandlabError('unreachable', `SandLabX does not answer at ${baseUrl}.`, {
      hint: 'Is it running ("./sandlabx up"), and is the address right?',
      cause: error,
    })
  }
  if (response.ok) return response
  throw await refusal(response)
}

export async function readAnswer<T>(path: string, response: Response, schema: z.ZodType<T>): Promise<T> {
  let body: unknown
  try {
    body = await response.json()
  } catch (error) {
    throw notUnderstood(path, error)
  }
  const parsed = schema.safeParse(body)
  if (!parsed.success) throw notUnderstood(path, parsed.error)
  return parsed.data
}

function notUnderstood(path: string, cause: unknown): SandlabError {
  return new SandlabError('internal', `The answer to ${path} is not understood.`, {
    hint: 'Is this a SandLabX server, and of the same version as this command?',
    cause,
  })
}

/** What the server refused, in its own words. */
export async function refusal(response: Response): Promise<SandlabError> {
  const text = await response.text().catch(() => '')
  const parsed = errorBodySchema.safeParse(parseJson(text))
  if (!parsed.success) {
    return new SandlabError('internal', `The server answered ${response.status} ${response.statusText}.`, {
      hint: 'Is this a SandLabX server, or a proxy before it?',
    })
  }
  const { code, message, hint, details, requestId } = parsed.data.error
  const known = knownCode(code)
  const words = known === 'internal' && requestId ? `${message} (request ${requestId})` : message
  return new SandlabError(known, printable(words), {
    hint: hint === undefined ? undefined : printable(hint),
    details: { ...details, ...(requestId ? { requestId } : {}) },
  })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function plainHeaders(headers: RequestInit['headers']): Record<string, string> {
  return Object.fromEntries(new Headers(headers).entries())
}
