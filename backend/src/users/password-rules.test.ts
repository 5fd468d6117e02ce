import { describe, expect, it } from '@jest/globals'
import { generatePassword, requireGoodPassword } from './password-rules.js'

describe('the password rules', () => {
  it.each([
    ['short', 'fewer than 10'],
    ['x'.repeat(201), 'longer than 200'],
    ['Password123', 'guessed first'],
    ['!!!letmein!!!', 'guessed first'],
    ['passw0rdpassw0rd', undefined],
    ['lovelace2026', 'login name'],
    ['lovelace-lovelace', 'login name'],
    ['abababababab', 'repeats'],
    ['1234567890', 'run'],
    ['abcdefghijkl', 'run'],
    ['zyxwvutsrqpo', 'run'],
    ['correct horse battery', undefined],
    ['lovelace likes the analytical engine', undefined],
    ['пароль из трёх слов', undefined],
  ])('%s', (password, refusal) => {
    const check = () => requireGoodPassword('lovelace', password)
    if (refusal === undefined) expect(check).not.toThrow()
    else
      expect(check).toThrow(
        expect.objectContaining({ code: 'weak_password', message: expect.stringContaining(refusal) }),
      )
  })

  it('are met by every generated password, which has four groups of unambiguous signs', () => {
    const made = Array.from({ length: 500 }, generatePassword)
    for (const password of made) {
      expect(password).toMatch(/^([a-hjkmnp-z2-9]{4}-){3}[a-hjkmnp-z2-9]{4}$/)
      expect(() => requireGoodPassword('admin', password)).not.toThrow()
    }
    expect(new Set(made).size).toBe(500)
  })
})
