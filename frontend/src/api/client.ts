import type { ErrorBody, ErrorCode } from '@domain/error.js'
import { keyOfSubmit, submitAnswered } from './submit-keys.js'

/** A failure that the page can show: what happened, what to do, and the id that finds it in the server's log. */
export class ApiError extends Error {
  readonly status: number
  readonly code: ErrorCode | 'unreachable'
  readonly hint: string | undefined
  readonly details: Record<string, unknown>
  readonly requestId: string | undefined

  constructor(status: number, body: Omit<ErrorBody['error'], 'code'> & { code: ErrorCode | 'unreachable' }) {
    super(body.message)
    this.name = 'ApiError'
    this.status = status
    this.code = body.code
    this.hint = body.hint
    this.details = body.details ?? {}
    this.requestId = body.requestId
  }
}

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** The address of something under `/api`, whatever path the page is served under. */
export function apiUrl(path: string): string {
  return new URL(`api/${path}`, document.baseURI).href
}

interface RequestOptions {
  body?: unknown
  signal?: AbortSignal
  /** It makes something: sent again before an answer came, it is done once all the same. */
  once?: boolean
}

/** Asks the API and reads its JSON; 204 answers undefined. Every failure is an ApiError, also a silent server. */
export async function request<T>(method: Method, path: string, options: RequestOptions = {}): Promise<T> {
  const submit = options.once ? `${method} ${path} ${JSON.stringify(options.body ?? null)}` : null
  const response = await send(method, path, { ...options, key: submit === null ? null : keyOfSubmit(submit) })
  if (!response.ok) {
    const error = await readError(response)
    // An answer without a request's id came from something in between: the server may still be at work.
    if (submit !== null && error.requestId) submitAnswered(submit)
    throw error
  }
  const answer: unknown = response.status === 204 ? undefined : await response.json()
  if (submit !== null) submitAnswered(submit)
  return answer as T // the server is ours and answers by the same schemas; the caller of a 204 names T = void
}

/** As `request`, for the few answers that are plain text. */
export async function requestText(path: string, signal?: AbortSignal): Promise<string> {
  const response = await send('GET', path, signal ? { signal } : {})
  if (!response.ok) throw await readError(response)
  return response.text()
}

/** As `request`, for pictures. */
export async function requestPicture(path: string, signal: AbortSignal): Promise<Blob> {
  const response = await send('GET', path, { signal })
  if (!response.ok) throw await readError(response)
  return response.blob()
}

async function send(
  method: Method,
  path: string,
  options: { body?: unknown; signal?: AbortSignal; key?: string | null },
) {
  const headers: Record<string, string> = { accept: 'application/json' }
  if (options.key) headers['idempotency-key'] = options.key
  if (method !== 'GET') headers['x-requested-with'] = 'sandlabx'
  if (options.body !== undefined) headers['content-type'] = 'application/json'
  try {
    return await fetch(apiUrl(path), {
      method,
      headers,
      credentials: 'same-origin',
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      ...(options.signal ? { signal: options.signal } : {}),
    })
  } catch (cause) {
    if (options.signal?.aborted) throw cause
    throw unreachable(method, Boolean(options.key))
  }
}

function unreachable(method: Method, once: boolean): ApiError {
  const hint =
    method === 'GET'
      ? 'Running nodes go on without this page. Check the network, then try again.'
      : once
        ? 'It may have received this or not. Try again when the connection is back: it is done only once.'
        : 'It may have received this or not: look at the list when the connection is back before you try again.'
  return new ApiError(0, { code: 'unreachable', message: 'The server did not answer.', hint })
}

async function readError(response: Response): Promise<ApiError> {
  const body: unknown = await response.json().catch(() => null)
  const error = body && typeof body === 'object' && 'error' in body ? (body as ErrorBody).error : undefined
  if (error?.code && error.message) return new ApiError(response.status, error)
  return new ApiError(response.status, {
    code: 'internal',
    message: `The server answered ${response.status} without saying why.`,
    hint: 'A proxy in between may have answered. Try again; if it stays, look into the server’s log.',
  })
}
