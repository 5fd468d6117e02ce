import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { SandlabError } from '../domain/error.js'

export interface GetOptions {
  headers?: Record<string, string>
  signal: AbortSignal
  /** No byte for this long ends the request with an error. */
  stallTimeoutMs: number
  /** A redirect may lead from https to http: only for content whose checksum comes from elsewhere. */
  allowDowngrade: boolean
}

export interface GotResponse {
  response: IncomingMessage
  /** Where it came from, after redirects. */
  url: string
}

const MAX_REDIRECTS = 5

/**
 * A GET whose body is given as it comes, undecoded: a `.gz` stays compressed, whatever the server says of it, so that
 * ranges and checksums fit. Follows redirects between http and https only.
 *
 * Throws `download_failed` for refused redirects and addresses; network errors as they are.
 */
export async function httpGet(url: string, options: GetOptions): Promise<GotResponse> {
  let current = parseUrl(url)
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const response = await request(current, options)
    const { location } = response.headers
    if (!isRedirect(response.statusCode) || location === undefined) return { response, url: current.href }
    response.destroy()
    current = redirected(current, location, options.allowDowngrade)
  }
  throw new SandlabError('download_failed', `The download from ${current.host} is redirected in circles.`)
}

/** A small text, as a checksum file. Throws `download_failed`, `cancelled`. */
export async function getText(url: string, maxBytes: number, options: GetOptions): Promise<string> {
  const { response } = await httpGet(url, options)
  if (response.statusCode !== 200) {
    response.destroy()
    throw new SandlabError('download_failed', `${new URL(url).host} answered ${response.statusCode} for ${url}.`)
  }
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) {
      response.destroy()
      throw new SandlabError('download_failed', `${url} is larger than expected.`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function request(url: URL, options: GetOptions): Promise<IncomingMessage> {
  const { get } = url.protocol === 'https:' ? https : http
  return new Promise((resolve, reject) => {
    const sent = get(
      url,
      {
        headers: { 'user-agent': 'SandLabX', accept: '*/*', 'accept-encoding': 'identity', ...options.headers },
        signal: options.signal,
        timeout: options.stallTimeoutMs,
        agent: false,
      },
      resolve,
    )
    sent.on('timeout', () => sent.destroy(new Error(`no data for ${options.stallTimeoutMs} ms`)))
    sent.on('error', reject)
  })
}

function isRedirect(status: number | undefined): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308
}

function redirected(from: URL, location: string, allowDowngrade: boolean): URL {
  const to = parseUrl(location, from)
  if (from.protocol === 'https:' && to.protocol === 'http:' && !allowDowngrade) {
    throw new SandlabError('download_failed', `${from.host} redirects to an unprotected address, ${to.host}.`)
  }
  return to
}

function parseUrl(text: string, base?: URL): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base) : undefined
  if (url && (url.protocol === 'https:' || url.protocol === 'http:')) return url
  throw new SandlabError('download_failed', `The address ${text.slice(0, 200)} is not http or https.`, {
    hint: 'Correct it in images/catalog.json.',
  })
}
