import { describe, expect, it } from '@jest/globals'
import { dayHeading, elapsed, relativeTime } from './time.js'

const NOW = Date.parse('2026-11-21T12:00:00')
const ago = (seconds: number) => NOW - seconds * 1000

describe('relativeTime', () => {
  it('grows from seconds to days, then becomes a date', () => {
    expect(relativeTime(ago(3), NOW)).toBe('just now')
    expect(relativeTime(ago(42), NOW)).toBe('42 s ago')
    expect(relativeTime(ago(5 * 60), NOW)).toBe('5 min ago')
    expect(relativeTime(ago(2 * 3600 + 59), NOW)).toBe('2 h ago')
    expect(relativeTime(ago(25 * 3600), NOW)).toBe('yesterday')
    expect(relativeTime(ago(3 * 86_400), NOW)).toBe('3 days ago')
    expect(relativeTime(ago(12 * 86_400), NOW)).toBe('9 Nov')
    expect(relativeTime(Date.parse('2025-02-01T00:00:00'), NOW)).toBe('1 Feb 2025')
  })

  it('speaks of times to come and reads ISO times', () => {
    expect(relativeTime(ago(-90), NOW)).toBe('in 1 min')
    expect(relativeTime(new Date(ago(60)).toISOString(), NOW)).toBe('1 min ago')
  })
})

describe('elapsed', () => {
  it('shows two units once there are hours', () => {
    expect(elapsed(48_000)).toBe('48 s')
    expect(elapsed(12 * 60_000)).toBe('12 min')
    expect(elapsed((3 * 60 + 5) * 60_000)).toBe('3 h 05 min')
    expect(elapsed(52 * 3_600_000)).toBe('2 d 4 h')
    expect(elapsed(-5)).toBe('0 s')
  })
})

describe('dayHeading', () => {
  it('calls days by their names', () => {
    expect(dayHeading(new Date(ago(60)).toISOString(), NOW)).toBe('Today')
    expect(dayHeading(new Date(ago(86_400)).toISOString(), NOW)).toBe('Yesterday')
    expect(dayHeading('2026-11-18T09:00:00', NOW)).toBe('Wednesday 18 November')
  })
})
