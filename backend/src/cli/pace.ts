import { formatBytes } from '../domain/units.js'

/** How fast something goes, and how long it will still take; null while that can't be said. */
export interface Pace {
  perSecond: number | null
  secondsLeft: number | null
}

/** What happened longer ago says little about now. */
const WINDOW_MS = 10_000
/** Before that any figure would jump. */
const SETTLED_MS = 1000

/** Feed it what is done, at a time in ms. A step that begins anew forgets the one before. */
export function createPace(): (at: number, done: number | null, total: number | null) => Pace {
  let samples: { at: number; done: number }[] = []
  return (at, done, total) => {
    const last = samples.at(-1)
    if (done === null || (last && done < last.done)) samples = []
    if (done === null) return { perSecond: null, secondsLeft: null }
    samples = [...samples.filter((sample) => at - sample.at <= WINDOW_MS), { at, done }]
    const [first] = samples
    const spanMs = first ? at - first.at : 0
    if (!first || spanMs < SETTLED_MS) return { perSecond: null, secondsLeft: null }
    const perSecond = ((done - first.done) * 1000) / spanMs
    const secondsLeft = total === null || perSecond === 0 ? null : Math.max(0, (total - done) / perSecond)
    return { perSecond, secondsLeft }
  }
}

/** `9 s left`, `3 min left`, `2 h left`: no finer than it is known. */
export function timeLeft(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s left`
  if (seconds < 5400) return `${Math.round(seconds / 60)} min left`
  return `${Math.round(seconds / 3600)} h left`
}

/** `1.2 GiB of 3.0 GiB`, `210.3 MiB/s`, `9 s left`, as far as they are known. */
export function byteFigures({ perSecond, secondsLeft }: Pace, done: number, total: number | null): string[] {
  const figures = [total === null ? formatBytes(done) : `${formatBytes(done)} of ${formatBytes(total)}`]
  if (perSecond !== null) figures.push(`${formatBytes(perSecond)}/s`)
  if (secondsLeft !== null) figures.push(timeLeft(secondsLeft))
  return figures
}
