import { afterEach, beforeEach, expect, it, jest } from '@jest/globals'
import { Writable } from 'node:stream'
import { createLog } from '../system/log.js'
import { createSchedule, type Schedule } from './schedule.js'

const MINUTE = 60_000
let schedule: Schedule
let logged: string

beforeEach(() => {
  jest.useFakeTimers({ now: new Date(2026, 0, 5, 1, 0) })
  logged = ''
  const sink = new Writable({
    write(chunk, _encoding, done) {
      logged += String(chunk)
      done()
    },
  })
  schedule = createSchedule({ log: createLog('error', sink), now: () => new Date() })
})
afterEach(() => {
  schedule.close()
  jest.useRealTimers()
})

it('does its work each time the minutes have passed, and no earlier', async () => {
  let done = 0
  schedule.every('purge', { minutes: 5 }, async () => (done += 1))
  await jest.advanceTimersByTimeAsync(4 * MINUTE)
  expect(done).toBe(0)
  await jest.advanceTimersByTimeAsync(MINUTE)
  expect(done).toBe(1)
  await jest.advanceTimersByTimeAsync(10 * MINUTE)
  expect(done).toBe(3)
})

it('never does the same thing twice at once', async () => {
  let begun = 0
  let finish = () => {}
  schedule.every('slow', { minutes: 1 }, () => {
    begun += 1
    return new Promise<void>((resolve) => (finish = resolve))
  })
  await jest.advanceTimersByTimeAsync(10 * MINUTE)
  const again = schedule.run('slow')
  expect(begun).toBe(1)
  finish()
  await again
  await jest.advanceTimersByTimeAsync(MINUTE)
  expect(begun).toBe(2)
})

it('logs what fails and tries it again the next time', async () => {
  let tried = 0
  schedule.every('fails', { minutes: 1 }, async () => {
    tried += 1
    throw new Error('the disk is on fire')
  })
  await jest.advanceTimersByTimeAsync(2 * MINUTE)
  expect(tried).toBe(2)
  expect(logged).toContain('the disk is on fire')
  expect(logged).toContain('"scheduled":"fails"')
})

it('does daily work once in its hour, each day', async () => {
  let done = 0
  schedule.daily(
    'verify',
    () => 3,
    async () => (done += 1),
  )
  await jest.advanceTimersByTimeAsync(119 * MINUTE)
  expect(done).toBe(0)
  await jest.advanceTimersByTimeAsync(60 * MINUTE)
  expect(done).toBe(1)
  await jest.advanceTimersByTimeAsync(24 * 60 * MINUTE)
  expect(done).toBe(2)
})

it('follows the hour when it is changed, and rests when there is none', async () => {
  let hour: number | null = null
  let done = 0
  schedule.daily(
    'verify',
    () => hour,
    async () => (done += 1),
  )
  await jest.advanceTimersByTimeAsync(48 * 60 * MINUTE)
  expect(done).toBe(0)
  hour = 2
  await jest.advanceTimersByTimeAsync(24 * 60 * MINUTE)
  expect(done).toBe(1)
})

it('is not put off by a clock that was set back', async () => {
  let done = 0
  schedule.every('purge', { minutes: 5 }, async () => (done += 1))
  jest.setSystemTime(new Date(2020, 0, 1))
  await jest.advanceTimersByTimeAsync(7 * MINUTE)
  expect(done).toBe(1)
})

it('tells the work under way when it closes, and begins nothing more', async () => {
  let told: AbortSignal | undefined
  schedule.every('slow', { minutes: 1 }, async (signal) => void (told = signal))
  await jest.advanceTimersByTimeAsync(MINUTE)
  schedule.close()
  expect(told?.aborted).toBe(true)
  told = undefined
  await jest.advanceTimersByTimeAsync(10 * MINUTE)
  await schedule.run('slow')
  expect(told).toBeUndefined()
})
