import { SandlabError } from '../domain/error.js'
import { errnoOf } from '../system/durable-file.js'

/** What the operating system says when there is nobody to talk to. */
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EACCES',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
])

/** PostgreSQL's error codes (appendix A of its manual) that mean "not now" and not "not so". */
const NOT_NOW = new Set([
  '53300', // too_many_connections
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now: starting up, in recovery
  '57P05', // idle_session_timeout
  '25P03', // idle_in_transaction_session_timeout
  '57014', // query_canceled: our statement_timeout
  '55P03', // lock_not_available: our lock_timeout
])

/** Wrong password, unknown role, no database: the address is right, the rest of DATABASE_URL is not. */
const REFUSED = new Set(['28P01', '28000', '3D000', '42501'])

/** pg has no codes for its own failures. */
const LOST =
  /^(Connection terminated|Client has encountered a connection error|Client was closed|Query read timeout|timeout e|timeout exceeded|Cannot use a pool after|The server does not support SSL|SSL connection)/i

/** A failure of the way to the server as `database_down`, a full disk as `no_space`; any other error as it is. */
export function databaseFailure(error: unknown, during: 'connect' | 'query'): unknown {
  if (error instanceof SandlabError) return error
  const code = errnoOf(error)
  if (code === '53100') {
    return new SandlabError('no_space', 'The database could not write: its disk is full.', {
      hint: 'Free some disk space on the server of the database, then try again.',
      cause: error,
    })
  }
  if (during === 'connect' && code !== undefined && REFUSED.has(code)) {
    return new SandlabError('database_down', 'The database refuses us.', {
      hint: 'Check the user, password and database name in DATABASE_URL.',
      cause: error,
    })
  }
  if (!meansDown(error, code)) return error
  return new SandlabError('database_down', 'The database does not answer.', {
    hint: 'It is tried again by itself; running nodes go on. If this stays, an administrator finds the reason under Health.',
    cause: error,
  })
}

function meansDown(error: unknown, code: string | undefined): boolean {
  if (code !== undefined && (UNREACHABLE.has(code) || NOT_NOW.has(code) || /^(08|58)/.test(code))) return true
  return error instanceof Error && LOST.test(error.message)
}
