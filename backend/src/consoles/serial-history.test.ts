import { randomBytes } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { createSerialHistory, type SerialHistory } from './serial-history.js'

function readAll(history: SerialHistory, from: number): Buffer {
  const parts: Buffer[] = []
  for (let at = from; ;) {
    const part = history.read(at, 10_000)
    if (part.length === 0) return Buffer.concat(parts)
    parts.push(part)
    at += part.length
  }
}

describe('serial history', () => {
  it('gives back what was appended, in chunks of any size', () => {
    const history = createSerialHistory(1024 * 1024)
    const all = randomBytes(700_000)
    for (let at = 0, size = 1; at < all.length; at += size, size = (size * 7) % 40_009) {
      history.append(all.subarray(at, at + size))
    }
    expect(history.start).toBe(0)
    expect(history.end).toBe(all.length)
    expect(readAll(history, 0).equals(all)).toBe(true)
    expect(readAll(history, 123_456).equals(all.subarray(123_456))).toBe(true)
  })

  it('keeps the newest bytes and forgets the oldest, whether they come one by one or in large pieces', () => {
    for (const size of [1, 1000, 100_000]) {
      const history = createSerialHistory(256 * 1024)
      const all = randomBytes(1_000_000)
      for (let at = 0; at < all.length; at += size) history.append(all.subarray(at, at + size))
      expect(history.end).toBe(all.length)
      expect(history.end - history.start).toBeGreaterThanOrEqual(256 * 1024)
      expect(history.end - history.start).toBeLessThan(256 * 1024 + 2 * 100_000)
      expect(readAll(history, history.start).equals(all.subarray(history.start))).toBe(true)
      expect(history.tail(5000).equals(all.subarray(-5000))).toBe(true)
    }
  })

  it('never changes bytes that somebody has read', () => {
    const history = createSerialHistory(1000)
    history.append(Buffer.from('first'))
    const read = history.read(0, 100)
    for (let count = 0; count < 100_000; count += 1) history.append(Buffer.from('other'))
    expect(read.toString()).toBe('first')
  })

  it('reads nothing at its end and before anything was said', () => {
    const history = createSerialHistory(1000)
    expect(history.read(0, 100)).toHaveLength(0)
    history.append(Buffer.from('x'))
    expect(history.read(1, 100)).toHaveLength(0)
  })
})
