import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { SandlabError } from '../domain/error.js'
import { userIdSchema } from '../domain/ids.js'
import type { Subject } from '../domain/user.js'
import type { Services } from './services.js'

const NOBODY = userIdSchema.parse('00000000-0000-4000-8000-000000000000')
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Behind https the `__Host-` prefix binds the cookie to this very host; plain http can't carry it. */
export const cookieName = (secure: boolean) => (secure ? '__Host-sandlabx_session' : 'sandlabx_session')

/** One verifier for HTTP, socket.io and console upgrades. Null: nobody. Throws `account_disabled`, `database_down`. */
export async function subjectOf(services: Services, request: IncomingMessage): Promise<Subject | null> {
  const bearer = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1]
  if (bearer !== undefined) return (await localSubject(services, bearer)) ?? services.tokens.resolve(bearer)
  const value = sessionCookieOf(request)
  return value === undefined ? null : services.sessions.resolveCookie(value)
}

export function sessionCookieOf(request: IncomingMessage): string | undefined {
  const cookies = parseCookies(request.headers.cookie)
  return cookies.get(cookieName(true)) ?? cookies.get(cookieName(false))
}

/** `state/local-token` makes whoever can read the state folder an administrator: they own everything in it anyway. */
async function localSubject(services: Services, bearer: string): Promise<Subject | null> {
  const given = createHash('sha256').update(bearer).digest()
  if (!timingSafeEqual(given, Buffer.from(services.localTokenHash, 'hex'))) return null
  // With the database away since the start nobody is known; this machine's owner can still shut nodes down.
  const administrator = services.directory.firstAdministrator() ?? { id: NOBODY, login: 'local' }
  return {
    userId: administrator.id,
    login: administrator.login,
    role: 'administrator',
    credentialId: 'local',
    kind: 'token',
    mustChangePassword: false,
  }
}

/**
 * Cross-site request forgery: a browser's own request carries our header, which no foreign page can set without a
 * preflight that we never grant, and an Origin that is ours. Tokens are not sent by browsers on their own.
 */
export function refuseCrossSite(services: Services, request: IncomingMessage, subject: Subject): void {
  if (SAFE_METHODS.has(request.method ?? '') || subject.kind === 'token') return
  const site = request.headers['sec-fetch-site']
  const sameSite = site === undefined || site === 'same-origin' || site === 'none'
  if (sameSite && request.headers['x-requested-with'] === 'sandlabx' && originAllowed(services, request, true)) return
  throw new SandlabError('foreign_origin', 'This request did not come from the SandLabX page.', {
    hint: 'Send the header X-Requested-With: sandlabx, or use an API token.',
  })
}

/** Exact match against the request's own host or a configured origin. Without an Origin only where `orAbsent`. */
export function originAllowed(services: Services, request: IncomingMessage, orAbsent = false): boolean {
  const { origin } = request.headers
  if (origin === undefined) return orAbsent
  if (services.config.origins.includes(origin)) return true
  const forwarded = services.config.trustProxy ? request.headers['x-forwarded-host'] : undefined
  const host = typeof forwarded === 'string' ? forwarded : request.headers.host
  return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`)
}

/** A console is opened by the page (Origin must be ours) or by the CLI (a token, no Origin). */
export function consoleOriginAllowed(services: Services, request: IncomingMessage): boolean {
  const byToken = request.headers.authorization?.startsWith('Bearer ') === true
  return originAllowed(services, request, byToken)
}

export function isSecure(services: Services, request: IncomingMessage): boolean {
  if ('encrypted' in request.socket && request.socket.encrypted === true) return true
  return services.config.trustProxy && request.headers['x-forwarded-proto'] === 'https'
}

function parseCookies(header: string | undefined): Map<string, string> {
  const pairs = (header ?? '').split(';').map((part) => {
    const at = part.indexOf('=')
    return [part.slice(0, at).trim(), part.slice(at + 1).trim()] as const
  })
  return new Map(pairs.filter(([name]) => name !== ''))
}
