import { describe, expect, it } from '@jest/globals'
import type { Snapshot, SnapshotSchedule } from '../../domain/snapshot.js'
import { automaticName, dueNow, expiredNow } from './snapshot-due.js'

type Automatic = Snapshot['automatic']
const keep = (hourly: number, daily: number, weekly: number): SnapshotSchedule => ({ hourly, daily, weekly })
const at = (text: string) => new Date(text)
const taken = (automatic: Automatic, when: Date | string) => ({
  automatic,
  createdAt: (typeof when === 'string' ? at(when) : when).toISOString(),
})
/** Local times: the tests hold in every time zone. */
const local = (day: number, hour = 12, minute = 0, month = 10) => new Date(2026, month, day, hour, minute)

describe('what is due', () => {
  it('is nothing when nothing is kept', () => {
    expect(dueNow(keep(0, 0, 0), [], local(21))).toBeNull()
  })

  it('is the longest period where several are', () => {
    expect(dueNow(keep(1, 1, 1), [], local(21))).toBe('weekly')
    expect(dueNow(keep(1, 1, 0), [], local(21))).toBe('daily')
    expect(dueNow(keep(1, 0, 0), [], local(21))).toBe('hourly')
  })

  it('is nothing shorter while a longer one of this moment is there', () => {
    expect(dueNow(keep(1, 1, 1), [taken('weekly', local(21, 12))], local(21, 12, 5))).toBeNull()
    expect(dueNow(keep(1, 1, 1), [taken('weekly', local(21, 12))], local(21, 13))).toBe('hourly')
    expect(dueNow(keep(0, 1, 1), [taken('weekly', local(21, 12))], local(22, 0, 1))).toBe('daily')
  })

  it('is a longer one although shorter ones are there', () => {
    expect(dueNow(keep(1, 1, 0), [taken('hourly', local(21, 12))], local(21, 12, 30))).toBe('daily')
  })

  it('does not count what a person took', () => {
    expect(dueNow(keep(0, 1, 0), [taken(null, local(21, 11))], local(21))).toBe('daily')
  })

  it('is a daily one once a day, at whatever hour the day before', () => {
    const late = [taken('daily', local(20, 23, 58))]
    expect(dueNow(keep(0, 1, 0), late, local(20, 23, 59))).toBeNull()
    expect(dueNow(keep(0, 1, 0), late, local(21, 0, 1))).toBe('daily')
  })

  it('is a weekly one from Monday on, over the end of a year, too', () => {
    const sunday = [taken('weekly', local(22))] // 2026-11-22
    expect(dueNow(keep(0, 0, 1), sunday, local(22, 23))).toBeNull()
    expect(dueNow(keep(0, 0, 1), sunday, local(23, 0, 1))).toBe('weekly')
    const newYear = [taken('weekly', new Date(2026, 11, 29))] // a Tuesday
    expect(dueNow(keep(0, 0, 1), newYear, new Date(2027, 0, 3))).toBeNull()
    expect(dueNow(keep(0, 0, 1), newYear, new Date(2027, 0, 4))).toBe('weekly')
  })

  it('is an hourly one after each hour that passes, also when clocks are put back or forward for summer', () => {
    // In Europe 2026-10-25 01:00 UTC is both the end of one 02:xx and the begin of the other.
    const first = [taken('hourly', '2026-10-25T00:30:00Z')]
    expect(dueNow(keep(1, 0, 0), first, at('2026-10-25T00:45:00Z'))).toBeNull()
    expect(dueNow(keep(1, 0, 0), first, at('2026-10-25T01:30:00Z'))).toBe('hourly')
    expect(dueNow(keep(1, 0, 0), [taken('hourly', '2026-03-29T00:59:00Z')], at('2026-03-29T01:01:00Z'))).toBe('hourly')
  })

  it('is one a day on days of 23 and 25 hours', () => {
    for (const day of [new Date(2026, 2, 29, 0, 5), new Date(2026, 9, 25, 0, 5)]) {
      const next = new Date(day.getFullYear(), day.getMonth(), day.getDate() + 1, 0, 5)
      let snapshots: ReturnType<typeof taken>[] = []
      for (let moment = day.getTime(); moment < next.getTime(); moment += 15 * 60_000) {
        const due = dueNow(keep(0, 2, 0), snapshots, new Date(moment))
        if (due) snapshots = [...snapshots, taken(due, new Date(moment))]
      }
      expect(snapshots).toHaveLength(1)
    }
  })

  it('is not kept from being taken by one that a wrong clock has dated into the future', () => {
    const future = [taken('daily', local(21, 12, 0, 23))] // a year on
    expect(dueNow(keep(0, 2, 0), future, local(21))).toBe('daily')
    expect(dueNow(keep(0, 2, 0), [...future, taken('daily', local(21))], local(21, 13))).toBeNull()
  })

  it('is not a second one when the clock is put back by a moment', () => {
    expect(dueNow(keep(0, 2, 0), [taken('daily', local(21, 12, 0))], local(21, 11, 58))).toBeNull()
  })

  it('is one, not many, after the clock has jumped on by days', () => {
    const before = [taken('daily', local(1))]
    expect(dueNow(keep(0, 7, 0), before, local(21))).toBe('daily')
    expect(dueNow(keep(0, 7, 0), [...before, taken('daily', local(21))], local(21, 12, 5))).toBeNull()
  })
})

describe('what goes', () => {
  const days = (from: number, to: number, automatic: Automatic = 'daily') =>
    Array.from({ length: to - from + 1 }, (_, index) => taken(automatic, local(from + index)))

  it('is the oldest beyond what is kept, of each period by itself', () => {
    const own = [...days(10, 14), ...days(10, 12, 'hourly')]
    expect(expiredNow(keep(2, 3, 0), own, local(14, 13))).toEqual([
      taken('daily', local(10)),
      taken('daily', local(11)),
      taken('hourly', local(10)),
    ])
  })

  it('is never one that a person took', () => {
    expect(expiredNow(keep(1, 1, 1), days(1, 20, null), local(21))).toEqual([])
  })

  it('is nothing where no more are made', () => {
    expect(expiredNow(keep(0, 0, 0), days(1, 20), local(21))).toEqual([])
  })

  it('is first what a wrong clock has dated into the future, and never what was just taken', () => {
    const future = taken('daily', local(21, 12, 0, 23))
    const own = [future, taken('daily', local(20)), taken('daily', local(21))]
    expect(expiredNow(keep(0, 2, 0), own, local(21, 12, 1))).toEqual([future])
    expect(expiredNow(keep(0, 1, 0), [future, taken('daily', local(21))], local(21, 12, 1))).toEqual([future])
  })
})

describe('its name', () => {
  it('says what it is and when it was taken', () => {
    expect(automaticName('daily', local(21, 3, 0), new Set())).toBe('auto-daily-20261121-0300')
  })

  it('has a number when the clock shows a time for the second time', () => {
    const names = new Set(['auto-hourly-20261025-0230', 'auto-hourly-20261025-0230-2'])
    expect(automaticName('hourly', local(25, 2, 30, 9), names)).toBe('auto-hourly-20261025-0230-3')
  })
})
