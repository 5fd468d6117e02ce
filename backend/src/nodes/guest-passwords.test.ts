import { describe, expect, it } from '@jest/globals'
import { createGuestPasswords } from './guest-passwords.js'

const entry = (n: number) => ({
  name: `web-${n}`,
  id: `00000000-0000-4000-8000-00000000000${n}`,
  login: 'anna',
  guestUser: 'anna',
  guestPassword: `secret-${n}`,
})

describe('generated guest passwords', () => {
  it('are kept for an hour and not longer', () => {
    let now = 0
    const kept = createGuestPasswords(() => now)
    kept.add('op', [entry(1)])
    now = 3_599_999
    expect(kept.take('op')).toEqual([entry(1)])
    kept.add('other', [entry(2)])
    now += 3_600_000
    expect(kept.take('other')).toEqual([])
  })

  it('are gone a minute after they were read', () => {
    let now = 0
    const kept = createGuestPasswords(() => now)
    kept.add('op', [entry(1)])
    kept.add('op', [entry(1), entry(2)])
    expect(kept.take('op')).toEqual([entry(1), entry(2)])
    now = 59_999
    expect(kept.take('op')).toHaveLength(2)
    now = 60_000
    expect(kept.take('op')).toEqual([])
  })

  it('are forgotten with what was not made', () => {
    const kept = createGuestPasswords(() => 0)
    kept.add('op', [entry(1)])
    kept.forget('op')
    expect(kept.take('op')).toEqual([])
  })
})
