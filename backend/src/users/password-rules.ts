import { randomInt } from 'node:crypto'
import { SandlabError } from '../domain/error.js'
import { passwordSchema } from '../domain/user.js'

/** No 0 o, 1 l i: what is read aloud or copied from a screen stays unambiguous. 31 signs = 4.95 bits each. */
const SIGNS = 'abcdefghjkmnpqrstuvwxyz23456789'

/** `k7mq-x3rt-9hwd-c4ne`: four groups of four, 79 bits. */
export function generatePassword(): string {
  return Array.from({ length: 4 }, generateGroup).join('-')
}

function generateGroup(): string {
  return Array.from({ length: 4 }, () => SIGNS.charAt(randomInt(SIGNS.length))).join('')
}

/** What guessers try first, of those that are long enough; compared without case, digits and signs at the ends. */
const COMMON = new Set([
  'password',
  'passwort',
  'passw0rd',
  'p@ssword',
  'p@ssw0rd',
  'passwordpassword',
  'administrator',
  'adminadmin',
  'changeme',
  'changemenow',
  'letmein',
  'iloveyou',
  'qwertyuiop',
  'qwertzuiop',
  'asdfghjkl',
  'sandlabx',
  'sandlabxadmin',
  'welcome',
  'football',
  'sunshine',
  'princess',
  'trustno',
])

/**
 * NIST SP 800-63B: long enough, not a common one, not made from the login; no rules about signs. Throws `weak_password`
 * with the reason.
 */
export function requireGoodPassword(login: string, password: string): void {
  const length = passwordSchema.safeParse(password)
  if (!length.success) {
    throw weak(password.length > 100 ? 'is longer than 200 characters' : 'has fewer than 10 characters')
  }
  const plain = password.toLowerCase()
  const letters = plain.replaceAll(/^[^a-z]+|[^a-z]+$/g, '')
  if (COMMON.has(letters) || COMMON.has(plain)) throw weak('is one of those that are guessed first')
  if (letters === login || plain.replaceAll(login, '').length < 6) throw weak('is little more than the login name')
  if (new Set(plain).size < 4) throw weak('repeats the same few characters')
  if (isRun(plain)) throw weak('is a run of neighbouring characters')
}

/** `1234567890`, `abcdefghij`, `zyxwvutsrq`. */
function isRun(text: string): boolean {
  const steps = new Set<number>()
  for (let at = 1; at < text.length; at += 1) steps.add(text.charCodeAt(at) - text.charCodeAt(at - 1))
  steps.delete(-9) // 9 → 0
  return steps.size === 1 && (steps.has(1) || steps.has(-1))
}

function weak(why: string): SandlabError {
  return new SandlabError('weak_password', `The password ${why}.`, {
    hint: 'Take at least 10 characters that nobody would guess; three or four random words are good.',
  })
}
