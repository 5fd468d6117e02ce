import { formatDuration } from '@domain/units.js'

export interface Sample {
  at: number
  bytes: number
}

const WINDOW_MS = 15_000

/** Keeps the samples of the last quarter minute, the newest at the end. A count that went back starts over. */
export function addSample(samples: readonly Sample[], next: Sample): Sample[] {
  const last = samples.at(-1)
  if (last && next.bytes < last.bytes) return [next]
  if (last && next.bytes === last.bytes && next.at - last.at < 1000) return [...samples]
  return [...samples.filter((sample) => next.at - sample.at <= WINDOW_MS), next]
}

/** Bytes a second over the samples; null until there is enough to tell. */
export function rate(samples: readonly Sample[]): number | null {
  const first = samples[0]
  const last = samples.at(-1)
  if (!first || !last || last.at - first.at < 900) return null
  return ((last.bytes - first.bytes) * 1000) / (last.at - first.at)
}

/** `about 2 min left`, from bytes when they are known, else from how far it came in what time; null when unknowable. */
export function timeLeft(facts: {
  bytesDone: number | null
  bytesTotal: number | null
  bytesPerSecond: number | null
  progress: number | null
  elapsedMs: number
}): string | null {
  const { bytesDone, bytesTotal, bytesPerSecond, progress, elapsedMs } = facts
  if (bytesDone !== null && bytesTotal !== null && bytesPerSecond !== null && bytesPerSecond > 0) {
    return sentence(((bytesTotal - bytesDone) * 1000) / bytesPerSecond)
  }
  if (progress !== null && progress > 0.05 && progress < 1 && elapsedMs > 2000) {
    return sentence((elapsedMs * (1 - progress)) / progress)
  }
  return null
}

function sentence(milliseconds: number): string {
  if (milliseconds < 1500) return 'almost done'
  return `about ${formatDuration(Math.round(milliseconds / 1000) * 1000).replace('.0 s', ' s')} left`
}
