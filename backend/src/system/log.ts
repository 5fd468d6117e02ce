import { pino, type Logger } from 'pino'

export type { Logger }

/** Secrets never reach a log line: these paths are replaced wherever a logged object has them. */
const SECRET_PATHS = [
  'password',
  'token',
  'ticket',
  'cookie',
  'authorization',
  'guestPassword',
  'passwordHash',
].flatMap((name) => [name, `*.${name}`, `*.*.${name}`])

/** Structured JSON lines on standard error; `LOG_LEVEL=silent` in tests. */
export function createLog(level: string, destination: NodeJS.WritableStream = process.stderr): Logger {
  return pino({ level, redact: { paths: SECRET_PATHS, censor: '[secret]' } }, destination)
}
