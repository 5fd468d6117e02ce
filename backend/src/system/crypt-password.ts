import { runCommand } from './command.js'

const TIMEOUT_MS = 10_000

/**
 * crypt(3) SHA-512 (`$6$…`) with a random salt, as every Linux guest reads it in /etc/shadow. The clear text goes to
 * `openssl` on its standard input, never into arguments.
 *
 * `clear` is printable ASCII (guestPasswordSchema): a line break would end the password. Throws `missing_tool`,
 * CommandError.
 */
export async function hashGuestPassword(clear: string): Promise<string> {
  const { stdout } = await runCommand('openssl', ['passwd', '-6', '-stdin'], { timeoutMs: TIMEOUT_MS, input: clear })
  const hash = stdout.trim()
  if (!/^\$6\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{86}$/.test(hash)) throw new Error('`openssl passwd -6` gave no hash')
  return hash
}
