import { describe, expect, it } from '@jest/globals'
import { isSandlabError, SandlabError } from '../domain/error.js'
import { createSignInLimiter, type SignInLimiter } from './sign-in-limiter.js'

const wrong = () => Promise.reject(new SandlabError('bad_credentials', 'wrong'))
const right = () => Promise.resolve('in')

function limiterWithClock() {
  const clock = { ms: 1_000_000 }
  const limiter = createSignInLimiter(() => clock.ms)
  return { clock, limiter }
}

/** The code of the refusal, and the seconds to wait. */
async function outcome(limiter: SignInLimiter, who: { login: string; address: string }, work: () => Promise<unknown>) {
  try {
    return await limiter.attempt(who, work)
  } catch (error) {
    if (isSandlabError(error)) return error.details?.['retryAfterSeconds'] ?? error.code
    throw error
  }
}

const ada = { login: 'ada', address: '192.0.2.1' }

describe('the sign-in limiter', () => {
  it('lets three failures pass, then asks for a pause that doubles, and blocks for ten minutes after ten', async () => {
    const { clock, limiter } = limiterWithClock()
    const pauses: unknown[] = []
    for (let failure = 1; failure <= 10; failure += 1) {
      expect(await outcome(limiter, ada, wrong)).toBe('bad_credentials')
      if (failure <= 3) continue
      const seconds = await outcome(limiter, ada, wrong)
      pauses.push(seconds)
      clock.ms += Number(seconds) * 1000
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 600])
    expect(await outcome(limiter, ada, right)).toBe('in')
  })

  it('does not run the work while it refuses', async () => {
    const { limiter } = limiterWithClock()
    for (let failure = 0; failure < 4; failure += 1) await outcome(limiter, ada, wrong)
    let ran = 0
    await outcome(limiter, ada, async () => (ran += 1))
    expect(ran).toBe(0)
  })

  it('lets the right password in from another address, and other logins from the same', async () => {
    const { limiter } = limiterWithClock()
    for (let failure = 0; failure < 20; failure += 1) await outcome(limiter, ada, wrong)
    expect(await outcome(limiter, ada, right)).toBe(1)
    expect(await outcome(limiter, { ...ada, address: '192.0.2.2' }, right)).toBe('in')
    expect(await outcome(limiter, { ...ada, login: 'bob' }, right)).toBe('in')
  })

  it('treats ` ADA ` as `ada`, an IPv6 /64 as one address, and a mapped IPv4 address as that', async () => {
    const { limiter } = limiterWithClock()
    const from = (address: string, login = 'ada') => ({ login, address })
    for (let failure = 0; failure < 4; failure += 1) await outcome(limiter, from('2001:db8:0:1::1'), wrong)
    expect(await outcome(limiter, from('2001:db8:0:1:ffff:aaaa:bbbb:cccc', ' ADA '), right)).toBe(1)
    expect(await outcome(limiter, from('2001:db8:0:2::1'), right)).toBe('in')
    for (let failure = 0; failure < 4; failure += 1) await outcome(limiter, from('::ffff:198.51.100.7'), wrong)
    expect(await outcome(limiter, from('198.51.100.7'), right)).toBe(1)
    expect(await outcome(limiter, from('::1'), right)).toBe('in')
  })

  it('refuses an address that tries many logins, also after it signs in as itself in between', async () => {
    const { limiter } = limiterWithClock()
    for (let attempt = 0; attempt < 100; attempt += 1) {
      await outcome(limiter, { login: `user${attempt}`, address: '192.0.2.9' }, wrong)
      if (attempt % 10 === 0) expect(await outcome(limiter, { login: 'own', address: '192.0.2.9' }, right)).toBe('in')
    }
    expect(await outcome(limiter, { login: 'own', address: '192.0.2.9' }, right)).toBe(600)
  })

  it('counts what is under way: of a thousand guesses at one moment ten run', async () => {
    const { limiter } = limiterWithClock()
    let ran = 0
    let open: () => void = () => undefined
    const gate = new Promise<void>((resolve) => (open = resolve))
    const guess = async () => {
      ran += 1
      await gate
      return wrong()
    }
    const guesses = Array.from({ length: 1000 }, () => outcome(limiter, ada, guess))
    open()
    await Promise.all(guesses)
    expect(ran).toBe(10)
  })

  it('forgets failures after ten quiet minutes and after a success, and does not count other errors', async () => {
    const { clock, limiter } = limiterWithClock()
    const fail = async (times: number) => {
      for (let failure = 0; failure < times; failure += 1) await outcome(limiter, ada, wrong)
    }
    await fail(3)
    clock.ms += 600_001
    await fail(3)
    expect(await outcome(limiter, ada, right)).toBe('in')
    await fail(3)
    for (let down = 0; down < 20; down += 1) {
      const error = new SandlabError('database_down', 'away')
      expect(await outcome(limiter, ada, () => Promise.reject(error))).toBe('database_down')
    }
    expect(await outcome(limiter, ada, right)).toBe('in')
  })

  it('remembers a bounded number, and keeps the newest', async () => {
    const { limiter } = limiterWithClock()
    for (let attempt = 0; attempt < 4; attempt += 1) await outcome(limiter, ada, wrong)
    for (let other = 0; other < 4990; other += 1) {
      await outcome(limiter, { login: 'x', address: `10.0.${other >> 8}.${other & 255}` }, wrong)
    }
    expect(await outcome(limiter, ada, right)).toBe(1)
    for (let other = 0; other < 5000; other += 1) {
      await outcome(limiter, { login: 'x', address: `10.1.${other >> 8}.${other & 255}` }, wrong)
    }
    expect(await outcome(limiter, ada, right)).toBe('in')
  })
})
