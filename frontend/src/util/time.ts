const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** `just now`, `40 s ago`, `5 min ago`, `2 h ago`, `yesterday`, `6 days ago`, then the date. Also for times to come. */
export function relativeTime(at: string | number, now: number): string {
  const then = typeof at === 'number' ? at : Date.parse(at)
  const distance = now - then
  const age = Math.abs(distance)
  if (age < 10 * SECOND) return 'just now'
  if (age >= 7 * DAY) return shortDate(then, now)
  const words = span(age)
  if (distance < 0) return `in ${words}`
  return words === '1 day' ? 'yesterday' : `${words} ago`
}

function span(age: number): string {
  if (age < MINUTE) return `${Math.floor(age / SECOND)} s`
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min`
  if (age < DAY) return `${Math.floor(age / HOUR)} h`
  const days = Math.floor(age / DAY)
  return days === 1 ? '1 day' : `${days} days`
}

function shortDate(then: number, now: number): string {
  const sameYear = new Date(then).getFullYear() === new Date(now).getFullYear()
  return new Intl.DateTimeFormat('en-GB', {
    day: 'numeric',
    month: 'short',
    ...(sameYear ? {} : { year: 'numeric' }),
  }).format(then)
}

/** `21 Nov 2026, 07:38:12 GMT+1`: what a hover shows. */
export function exactTime(at: string | number): string {
  return new Intl.DateTimeFormat('en-GB', {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    timeZoneName: 'short',
  }).format(typeof at === 'number' ? at : Date.parse(at))
}

/** How long something has been going on: `48 s`, `12 min`, `3 h 05 min`, `2 d 4 h`. */
export function elapsed(milliseconds: number): string {
  const age = Math.max(0, milliseconds)
  if (age < MINUTE) return `${Math.floor(age / SECOND)} s`
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min`
  if (age < DAY) return `${Math.floor(age / HOUR)} h ${String(Math.floor((age % HOUR) / MINUTE)).padStart(2, '0')} min`
  return `${Math.floor(age / DAY)} d ${Math.floor((age % DAY) / HOUR)} h`
}

/** `Today`, `Yesterday`, `Wednesday 18 November`: headings of a time line. */
export function dayHeading(at: string, now: number): string {
  const day = startOfDay(Date.parse(at))
  const today = startOfDay(now)
  if (day === today) return 'Today'
  if (day === startOfDay(today - 1)) return 'Yesterday'
  return new Intl.DateTimeFormat('en-GB', { weekday: 'long', day: 'numeric', month: 'long' }).format(day)
}

function startOfDay(at: number): number {
  return new Date(at).setHours(0, 0, 0, 0)
}

/** `07:38:12` */
export function clockTime(at: string): string {
  return new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' }).format(
    Date.parse(at),
  )
}
