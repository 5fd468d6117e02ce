import { availableParallelism } from 'node:os'
import { runCommand } from './command.js'
import { createLimiter } from './limiter.js'

const TIMEOUT_MS = 10_000
/** For one process; each takes about 5 ms. */
const AT_A_TIME = 50

/**
 * crypt(3) SHA-512 (`$6$…`) with a random salt, as every Linux guest reads it in /etc/shadow. The clear text goes to
 * `openssl` on its standard input, never into arguments.
 *
 * `clear` is printable ASCII (guestPasswordSchema): a line break would end the password. Throws `missing_tool`,
 * CommandError.
 */
export async function hashGuestPassword(clear: string): Promise<string> {
  const [hash] = await hashLines([clear])
  return hash ?? ''
}

/** The same for many, in order: one process for each 50 of them. Null stays null. */
export async function hashGuestPasswords(clears: readonly (string | null)[]): Promise<(string | null)[]> {
  const given = clears.filter((clear) => clear !== null)
  const size = Math.min(AT_A_TIME, Math.max(1, Math.ceil(given.length / availableParallelism())))
  const parts = Array.from({ length: Math.ceil(given.length / size) }, (_, at) =>
    given.slice(at * size, (at + 1) * size),
  )
  const limiter = createLimiter(availableParallelism())
  const hashes = (await Promise.all(parts.map((part) => limiter.run(() => hashLines(part))))).flat()
  let next = 0
  return clears.map((clear) => (clear === null ? null : (hashes[next++] ?? null)))
}

/** A password a line, each with a salt of its own. */
async function hashLines(clears: readonly string[]): Promise<string[]> {
  const { stdout } = await runCommand('openssl', ['passwd', '-6', '-stdin'], {
    timeoutMs: TIMEOUT_MS,
    input: `${clears.join('\n')}\n`,
  })
  const hashes = stdout.trim().split('\n')
  const whole = hashes.every((hash) => /^\$6\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{86}$/.test(hash))
  if (!whole || hashes.length !== clears.length) throw new Error('`openssl passwd -6` gave no hash')
  return hashes
}
