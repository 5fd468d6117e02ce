import { describe, expect, it } from '@jest/globals'
import { createPace, timeLeft } from './pace.js'

describe('pace', () => {
  it('says nothing until it has seen a second, then rate and time left', () => {
    const pace = createPace()
    expect(pace(0, 0, 1000)).toEqual({ perSecond: null, secondsLeft: null })
    expect(pace(900, 90, 1000)).toEqual({ perSecond: null, secondsLeft: null })
    expect(pace(2000, 200, 1000)).toEqual({ perSecond: 100, secondsLeft: 8 })
  })

  it('follows a change of speed within ten seconds', () => {
    const pace = createPace()
    for (let second = 0; second <= 20; second += 1) pace(second * 1000, second * 100, 10_000)
    for (let second = 21; second <= 30; second += 1) pace(second * 1000, 2000 + (second - 20) * 10, 10_000)
    expect(pace(31_000, 2110, 10_000).perSecond).toBeCloseTo(10)
  })

  it('forgets the step before, and does not guess when nothing moves or the end is unknown', () => {
    const pace = createPace()
    pace(0, 0, 100)
    pace(5000, 100, 100)
    expect(pace(6000, 10, 1000)).toEqual({ perSecond: null, secondsLeft: null })
    expect(pace(8000, 10, 1000)).toEqual({ perSecond: 0, secondsLeft: null })
    expect(pace(9000, 310, null)).toEqual({ perSecond: 100, secondsLeft: null })
    expect(pace(9500, null, null)).toEqual({ perSecond: null, secondsLeft: null })
  })

  it.each([
    [0.2, '1 s left'],
    [89, '89 s left'],
    [150, '3 min left'],
    [7300, '2 h left'],
  ])('%d s is %s', (seconds, words) => {
    expect(timeLeft(seconds)).toBe(words)
  })
})
