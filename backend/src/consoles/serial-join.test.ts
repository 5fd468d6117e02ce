import { describe, expect, it } from '@jest/globals'
import { bytesBetween, overlap } from './serial-join.js'

const between = (known: string, tail: string, received: string) =>
  bytesBetween(Buffer.from(known), Buffer.from(tail), Buffer.from(received)).toString()

describe('joining a serial line', () => {
  it('finds the longest end of one text that begins the other', () => {
    expect(overlap(Buffer.from('xxabab'), Buffer.from('ababc'))).toBe(4)
    expect(overlap(Buffer.from('abc'), Buffer.from('abc'))).toBe(3)
    expect(overlap(Buffer.from('abc'), Buffer.from('d'))).toBe(0)
    expect(overlap(Buffer.from(''), Buffer.from('d'))).toBe(0)
    expect(overlap(Buffer.from('aaaa'), Buffer.from('aaa'))).toBe(3)
  })

  it('is linear, also for output that repeats itself', () => {
    const flood = Buffer.alloc(256 * 1024, 'y\r\n')
    const almost = Buffer.concat([flood.subarray(1), Buffer.from('x')])
    const before = process.cpuUsage() // our own time: the machine may be busy
    overlap(flood, almost)
    overlap(almost, flood)
    expect(process.cpuUsage(before).user).toBeLessThan(1_000_000)
  })

  it('adds nothing when nothing was said in between', () => {
    expect(between('login: ', 'login: ', '')).toBe('')
    expect(between('a\n', 'a\n', '\nb')).toBe('')
    expect(between('', '', 'boot')).toBe('')
  })

  it('adds what was said before the connection stood, and not what has also been received', () => {
    expect(between('one\n', 'one\ntwo\n', '')).toBe('two\n')
    expect(between('one\n', 'one\ntwo\nthree\n', 'three\n')).toBe('two\n')
    expect(between('one\n', 'one\ntwo\nthree\n', 'three\nfour\n')).toBe('two\n')
    expect(between('one\n', 'one\ntwo\n', 'two\nthree\n')).toBe('')
  })

  it('adds nothing when the log lags behind what is already known', () => {
    expect(between('one\ntwo', 'one\nt', 'three')).toBe('')
  })

  it('restores the exact output for any moment of reading and connecting, also after the log has been cut', () => {
    const random = seeded(7)
    for (let round = 0; round < 300; round += 1) {
      const output = Buffer.from(Array.from({ length: 2000 }, () => random() % 256))
      const moments = Array.from({ length: 4 }, () => random() % 2000).toSorted((a, b) => a - b)
      const [first, connected, second, last] = moments as [number, number, number, number]
      const window = 700
      const known = output.subarray(Math.max(0, first - window), first)
      const tail = output.subarray(Math.max(0, second - window), second)
      const received = output.subarray(connected, last)
      const seen = Buffer.concat([known, bytesBetween(known, tail, received), received])
      if (second - first > window) continue // more was said than the log's tail holds: a gap is all there can be
      expect(seen.toString()).toBe(output.subarray(Math.max(0, first - window), last).toString())
    }
  })
})

/** The same numbers in every run (a linear congruential generator; the low bits are the poor ones). */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state >>> 8
  }
}
