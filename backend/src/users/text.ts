import { SandlabError } from '../domain/error.js'

/** PostgreSQL's text and jsonb hold no NUL and no half of a surrogate pair: both become U+FFFD; cut at `max`. */
export function storableText(text: string, max: number): string {
  return Buffer.from(text.slice(0, max), 'utf8').toString('utf8').replaceAll('\0', '\u{FFFD}')
}

/** A name that people see in lists and logs. Throws `bad_request` when it has control characters (newlines, NUL, ESC). */
export function requirePlainText(what: string, text: string): string {
  // Cc control, Cf invisible formatting (right-to-left overrides and the like), Cs lone surrogates, Zl Zp line breaks
  if (!/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(text)) return text
  throw new SandlabError('bad_request', `The ${what} has characters that can't be shown.`, {
    hint: 'Take letters, digits, signs and spaces.',
  })
}

/** Where a uuid is expected; anything else names nothing, and PostgreSQL would refuse to compare it. */
export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)
}
