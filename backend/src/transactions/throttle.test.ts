import { afterEach, beforeEach, expect, it, jest } from '@jest/globals'
import { createThrottle } from './throttle.js'

beforeEach(() => void jest.useFakeTimers())
afterEach(() => void jest.useRealTimers())

it('acts at once, then once per interval, and never leaves out the last', () => {
  let acted = 0
  const throttle = createThrottle(250, () => (acted += 1))
  throttle.soon('a')
  expect(acted).toBe(1)
  for (let i = 0; i < 100; i += 1) throttle.soon('a')
  jest.advanceTimersByTime(249)
  expect(acted).toBe(1)
  jest.advanceTimersByTime(1)
  expect(acted).toBe(2)
  jest.advanceTimersByTime(1000)
  expect(acted).toBe(2)
  throttle.soon('a')
  expect(acted).toBe(3)
})

it('acts now when told, instead of what was waiting', () => {
  const acted: string[] = []
  const throttle = createThrottle(250, (key) => acted.push(key))
  throttle.soon('a')
  throttle.soon('a')
  throttle.soon('b')
  throttle.now('a')
  jest.advanceTimersByTime(1000)
  expect(acted).toEqual(['a', 'b', 'a'])
})
