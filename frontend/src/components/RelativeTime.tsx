import { Tooltip } from '@mantine/core'
import { exactTime, relativeTime } from '../util/time.js'
import { useNow } from '../util/use-now.js'

/** How long ago, with the exact time on hover. */
export function RelativeTime({ at }: { at: string }) {
  const now = useNow(5000)
  return (
    <Tooltip label={exactTime(at)}>
      <time dateTime={at}>{relativeTime(at, now)}</time>
    </Tooltip>
  )
}
