import { describe, expect, it } from '@jest/globals'
import { runCommand } from './command.js'
import { hashGuestPassword, hashGuestPasswords } from './crypt-password.js'

/** What crypt(3) makes of a password and the salt of `hash`. */
async function crypt(clear: string, hash: string): Promise<string> {
  const salt = hash.split('$')[2] ?? ''
  const { stdout } = await runCommand('openssl', ['passwd', '-6', '-salt', salt, '-stdin'], {
    timeoutMs: 10_000,
    input: clear,
  })
  return stdout.trim()
}

describe('hashGuestPassword', () => {
  it.each(['pass word1', '$6$looks$like-a-hash', '-stdin', '"quoted\' \\ #'])(
    'hashes %j so that it verifies',
    async (clear) => {
      const hash = await hashGuestPassword(clear)
      expect(hash).toMatch(/^\$6\$/)
      expect(await crypt(clear, hash)).toBe(hash)
      expect(await crypt(`${clear}x`, hash)).not.toBe(hash)
    },
  )

  it('salts: the same password never gives the same hash', async () => {
    expect(await hashGuestPassword('same')).not.toBe(await hashGuestPassword('same'))
  })
})

describe('hashGuestPasswords', () => {
  it('hashes many in order, and leaves what is none', async () => {
    const clears = Array.from({ length: 130 }, (_, n) => (n % 10 === 3 ? null : `secret ${n}`))
    const hashes = await hashGuestPasswords(clears)
    expect(hashes.map((hash) => hash === null)).toEqual(clears.map((clear) => clear === null))
    for (const at of [0, 4, 129]) expect(await crypt(clears[at] ?? '', hashes[at] ?? '')).toBe(hashes[at])
    expect(new Set(hashes).size).toBe(118)
    expect(await hashGuestPasswords([null])).toEqual([null])
  })
})
