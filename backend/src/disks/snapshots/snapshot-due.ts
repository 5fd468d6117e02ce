import type { Snapshot, SnapshotSchedule } from '../../domain/snapshot.js'

export type Period = keyof SnapshotSchedule

/** Longest first: one snapshot of a longer period is one of the shorter ones, too. */
const PERIODS: readonly Period[] = ['weekly', 'daily', 'hourly']
const HOUR_MS = 60 * 60 * 1000
/** A clock may be set back by so much without what was just taken being from the future. */
const TOLERANCE_MS = 10 * 60 * 1000

type Taken = Pick<Snapshot, 'automatic' | 'createdAt'>

/**
 * The snapshot that is due, the longest period where several are; null: none. Hours are those that pass, whatever clocks
 * show; days and weeks (from Monday) are the server's. What a wrong clock has dated into the future does not count: it
 * must not keep others from being taken. Pure.
 */
export function dueNow(schedule: SnapshotSchedule, own: readonly Taken[], now: Date): Period | null {
  const known = own.filter((snapshot) => snapshot.automatic !== null && !isFuture(snapshot, now))
  const isDue = (period: Period) =>
    schedule[period] > 0 &&
    !known.some(
      ({ automatic, createdAt }) =>
        automatic !== null &&
        PERIODS.indexOf(automatic) <= PERIODS.indexOf(period) &&
        numberOf(period, new Date(createdAt)) === numberOf(period, now),
    )
  return PERIODS.find(isDue) ?? null
}

/**
 * Automatic ones beyond what the schedule keeps, oldest first; those from the future of a clock that was wrong go before
 * all others. Where none is made any more (0), none is removed either. Never one that a person took. Pure.
 */
export function expiredNow<S extends Taken>(schedule: SnapshotSchedule, own: readonly S[], now: Date): S[] {
  return PERIODS.flatMap((period) => {
    const keep = schedule[period]
    const taken = own
      .filter(({ automatic }) => automatic === period)
      .toSorted((one, other) => ageOf(one, now).localeCompare(ageOf(other, now)))
    return keep === 0 ? [] : taken.slice(0, Math.max(0, taken.length - keep))
  })
}

/** `auto-daily-20261121-0300` by the server's clock; with a number when that name is taken. Pure. */
export function automaticName(period: Period, now: Date, taken: ReadonlySet<string>): string {
  const two = (number: number) => String(number).padStart(2, '0')
  const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`
  const name = `auto-${period}-${day}-${two(now.getHours())}${two(now.getMinutes())}`
  if (!taken.has(name)) return name
  for (let number = 2; ; number += 1) if (!taken.has(`${name}-${number}`)) return `${name}-${number}`
}

function isFuture({ createdAt }: Taken, now: Date): boolean {
  return Date.parse(createdAt) > now.getTime() + TOLERANCE_MS
}

/** Sorts before all dates for one from the future. */
function ageOf(snapshot: Taken, now: Date): string {
  return isFuture(snapshot, now) ? ` ${snapshot.createdAt}` : snapshot.createdAt
}

/** Names the period that a moment lies in. */
function numberOf(period: Period, at: Date): string {
  if (period === 'hourly') return String(Math.floor(at.getTime() / HOUR_MS))
  if (period === 'daily') return at.toDateString()
  const monday = new Date(at.getFullYear(), at.getMonth(), at.getDate() - ((at.getDay() + 6) % 7))
  return monday.toDateString()
}
