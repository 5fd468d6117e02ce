import type { LiveState } from '../api/live.js'
import { Mark } from '../components/Mark.js'
import classes from './LiveBanner.module.css'

/** Says that what is shown may be old. The region is always there, so that a change is read out. */
export function LiveBanner({ state }: { state: LiveState }) {
  return (
    <output className={classes['region']}>
      {state === 'paused' && (
        <span className={classes['banner']}>
          <Mark shape="triangle" tone="warn" />
          Live updates paused, reconnecting… What you see may be old; running nodes go on.
        </span>
      )}
    </output>
  )
}
