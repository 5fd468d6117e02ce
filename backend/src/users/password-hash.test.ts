import { describe, expect, it } from '@jest/globals'
import { hash } from '@node-rs/argon2'
import { hashPassword, passwordMatches } from './password-hash.js'

/** Medians of works that take turns, so that a busy machine slows both. */
async function medians(works: (() => Promise<unknown>)[]): Promise<number[]> {
  const times = works.map((): number[] => [])
  for (let run = 0; run < 15; run += 1) {
    for (const [index, work] of works.entries()) {
      const beganAt = performance.now()
      await work()
      times[index]?.push(performance.now() - beganAt)
    }
  }
  return times.map((all) => all.toSorted((a, b) => a - b)[7] ?? 0)
}

describe('password hashes', () => {
  it('are argon2id with 19 MiB and two passes, each with its own salt', async () => {
    const [one, other] = await Promise.all([hashPassword('correct horse'), hashPassword('correct horse')])
    expect(one).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(one).not.toBe(other)
    expect(await passwordMatches(one, 'correct horse')).toBe(true)
    expect(await passwordMatches(one, 'Correct horse')).toBe(false)
  })

  it('match nothing where there is none, not even what stands in for it, and that takes as long', async () => {
    const known = await hashPassword('correct horse')
    expect(await passwordMatches(undefined, 'nobody has this password')).toBe(false)
    const [existing = 0, absent = 0] = await medians([
      () => passwordMatches(known, 'wrong'),
      () => passwordMatches(undefined, 'wrong'),
    ])
    expect(absent / existing).toBeGreaterThan(0.5) // without a stand-in it is below 0.01
    expect(absent / existing).toBeLessThan(2)
  })

  it('are refused with a time to wait when too many want one at once, and work again afterwards', async () => {
    const known = await hash('correct horse', { memoryCost: 8, timeCost: 1, parallelism: 1 }) // a quick one: it is the queue
    const results = await Promise.allSettled(Array.from({ length: 510 }, () => passwordMatches(known, 'wrong')))
    const refused = results.filter((result) => result.status === 'rejected')
    expect(refused).toHaveLength(10)
    expect(refused[0]?.reason).toMatchObject({ code: 'too_many_requests', details: { retryAfterSeconds: 5 } })
    expect(await passwordMatches(known, 'correct horse')).toBe(true)
  })
})
