import type { z } from 'zod'
import { ERROR_CODES, SandlabError, type ErrorCode } from '../domain/error.js'
import { errorBodySchema } from './answers.js'
import type { Target } from './credentials.js'
import { printable } from './text.js'

export interface Client {
  readonly target: Target
  get<T>(path: string, schema: z.ZodType<T>): Promise<T>
  /** `undefined` as schema: no body is expected (204). */
  send<T>(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body: unknown, schema: z.ZodType<T>): Promise<T>
  sendForNothing(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<void>
  /** Any request, with our credential; a refusal throws like everywhere. */
  raw(path: string, init?: RequestInit): Promise<Response>
}

/** A stop waits for the guest, 60 s unless configured longer; fetch itself gives up after 300 s without an answer. */
const REQUEST_TIMEOUT_MS = 290_000

/**
 * The HTTP API as the command line sees it. Throws the server's own SandlabError, `unreachable` when nobody answers,
 * `internal` for an answer that is not understood.
 */
export function createClient(target: Target): Client {
  const authorization = `Bearer ${target.token}`
  const raw = (path: string, init: RequestInit = {}) =>
    request(target.url, path, { ...init, headers: { authorization, ...plainHeaders(init.headers) } })
  const sendBody = (method: string, path: string, body: unknown) =>
    raw(path, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
  return {
    target,
    raw,
    get: async (path, schema) => readAnswer(path, await raw(path), schema),
    send: async (method, path, body, schema) => readAnswer(path, await sendBody(method, path, body), schema),
    sendForNothing: async (method, path, body) => void (await (await sendBody(method, path, body)).arrayBuffer()),
  }
}

/** One request; no retry, since a lost answer may mean that the change was made. */
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

async function refusal(response: Response): Promise<SandlabError> {
  const text = await response.text().catch(() => '')
  const parsed = errorBodySchema.safeParse(parseJson(text))
  if (!parsed.success) {
    return new SandlabError('internal', `The server answered ${response.status} ${response.statusText}.`, {
      hint: 'Is this a SandLabX server, or a proxy before it?',
    })
  }
  const { code, message, hint, details, requestId } = parsed.data.error
  const known: ErrorCode = Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'internal'
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
