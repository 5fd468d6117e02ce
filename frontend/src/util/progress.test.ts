import { describe, expect, it } from '@jest/globals'
import { addSample, rate, type Sample, timeLeft } from './progress.js'

const steady = (count: number, bytesPerSecond: number): Sample[] =>
  Array.from({ length: count }, (_none, at) => ({ at: at * 1000, bytes: at * bytesPerSecond }))

describe('the pace of an operation', () => {
  it('is measured over the last quarter minute', () => {
    let samples: Sample[] = []
    for (const sample of [...steady(10, 10), { at: 60_000, bytes: 1000 }, { at: 62_000, bytes: 3000 }]) {
      samples = addSample(samples, sample)
    }
    expect(rate(samples)).toBe(1000)
  })

  it('is not guessed from too little', () => {
    expect(rate([])).toBeNull()
    expect(rate([{ at: 0, bytes: 5 }])).toBeNull()
    expect(
      rate([
        { at: 0, bytes: 5 },
        { at: 200, bytes: 900 },
      ]),
    ).toBeNull()
  })

  it('starts over when the count goes back', () => {
    expect(addSample(steady(5, 100), { at: 6000, bytes: 10 })).toEqual([{ at: 6000, bytes: 10 }])
  })
})

describe('timeLeft', () => {
  const unknown = { bytesDone: null, bytesTotal: null, bytesPerSecond: null, progress: null, elapsedMs: 10_000 }

  it('comes from bytes when they are known', () => {
    expect(timeLeft({ ...unknown, bytesDone: 400, bytesTotal: 1000, bytesPerSecond: 10 })).toBe('about 60 s left')
    expect(timeLeft({ ...unknown, bytesDone: 990, bytesTotal: 1000, bytesPerSecond: 10 })).toBe('almost done')
  })

  it('comes from the share that is done when there are no bytes', () => {
    expect(timeLeft({ ...unknown, progress: 0.25 })).toBe('about 30 s left')
  })

  it('is not told when it can’t be known', () => {
    expect(timeLeft(unknown)).toBeNull()
    expect(timeLeft({ ...unknown, progress: 0.01 })).toBeNull()
    expect(timeLeft({ ...unknown, bytesDone: 1, bytesTotal: 9, bytesPerSecond: 0 })).toBeNull()
  })
})
