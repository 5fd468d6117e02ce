import { z } from 'zod'
import { SandlabError, type ErrorCode } from '../domain/error.js'

const refusalSchema = z.object({
  error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() }),
})
type Refusal = z.infer<typeof refusalSchema>['error']

/** Refusals that mean the same here as there; about its own people and its own state the other side speaks for itself. */
const PASSED_ON = [
  'name_taken',
  'quota_reached',
  'no_space',
  'too_large',
  'image_refused',
  'image_exists',
  'checksum_mismatch',
  'wrong_status',
  'disk_too_small',
  'busy',
  'key_reused',
] as const satisfies readonly ErrorCode[]

const PASSES: ReadonlySet<string> = new Set(['starting_up', 'database_down', 'too_many_requests'])

/** A proxy whose server is away, or a SandLabX that is starting: ask again. */
export function isNotNow({ status, body }: { status: number; body: string }): boolean {
  if (![429, 502, 503, 504].includes(status)) return false
  const said = parseRefusal(body)
  return said === undefined || PASSES.has(said.code)
}

/** What another SandLabX's refusal means to the one who asked here. Its words are a stranger's: cut and without controls. */
export function remoteRefusal(
  host: string,
  request: { method: string; path: string },
  answer: { status: number; body: string },
): SandlabError {
  const said = parseRefusal(answer.body)
  if (answer.status >= 300 && answer.status < 400) {
    return failed(
      `${host} sends us to another address.`,
      'Give the address to which it leads: redirects are not followed.',
    )
  }
  if (answer.status === 401 || answer.status === 403) {
    return failed(
      `${host} does not take the token: ${said?.message ?? `it answered ${answer.status}.`}`,
      'Make an API token there, on the page of an instructor’s or administrator’s account.',
    )
  }
  if (answer.status === 404 && request.path.split('?')[0] === '/api/transfers') {
    return failed(
      `${host} can't receive nodes.`,
      'It is an older SandLabX, or none: bring it up to date. Nothing was made there.',
    )
  }
  if (said) return refusalFrom(host, said)
  return failed(`${host} answered ${answer.status}.`, 'Is the address right, and is a SandLabX there?')
}

/** Of an operation there that failed, or of an answer. */
export function refusalFrom(host: string, { code, message, hint }: Refusal): SandlabError {
  const passed = PASSED_ON.find((one) => one === code) ?? 'remote_failed'
  return new SandlabError(passed, `${host}: ${plain(message)}`, {
    ...(hint === undefined ? {} : { hint: plain(hint) }),
    details: { remote: host, remoteCode: plain(code) },
  })
}

function failed(message: string, hint: string): SandlabError {
  return new SandlabError('remote_failed', plain(message), { hint })
}

function parseRefusal(body: string): Refusal | undefined {
  try {
    return refusalSchema.parse(JSON.parse(body)).error
  } catch {
    return undefined // a proxy's words, or none
  }
}

function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, ' ').slice(0, 500)
}
