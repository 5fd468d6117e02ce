import type { Operation } from '@domain/operation.js'
import { useSyncExternalStore } from 'react'
import { onPace, samplesOf } from '../util/pace-store.js'
import { rate, timeLeft } from '../util/progress.js'
import { formatSize } from '../util/size.js'
import { useNow } from '../util/use-now.js'

/** How fast a running task is and how long it still takes, measured from what the page has seen. */
export function usePace(operation: Operation): { rate: string | null; left: string | null } {
  const samples = useSyncExternalStore(onPace, () => samplesOf(operation.id))
  const now = useNow()
  const bytesPerSecond = rate(samples)
  return {
    rate: bytesPerSecond === null ? null : `${formatSize(Math.round(bytesPerSecond))}/s`,
    left: timeLeft({
      bytesDone: operation.bytesDone,
      bytesTotal: operation.bytesTotal,
      bytesPerSecond,
      progress: operation.progress,
      elapsedMs: now - Date.parse(operation.startedAt),
    }),
  }
}
