import type { Operation } from '@domain/operation.js'
import { useEffect, useState } from 'react'
import { addSample, rate, type Sample, timeLeft } from '../util/progress.js'
import { formatSize } from '../util/size.js'
import { useNow } from '../util/use-now.js'

/** How fast a running task is and how long it still takes, measured from what the page has seen. */
export function usePace(operation: Operation): { rate: string | null; left: string | null } {
  const [samples, setSamples] = useState<readonly Sample[]>([])
  const now = useNow()
  const bytes = operation.bytesDone

  useEffect(() => {
    if (bytes !== null) setSamples((before) => addSample(before, { at: Date.now(), bytes }))
  }, [bytes])

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
