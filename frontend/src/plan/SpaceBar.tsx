import type { SpaceNeed } from '@domain/plan.js'
import { formatSize } from '../util/size.js'
import classes from './SpaceBar.module.css'

/** What it takes beside what is there, on one file system: the three figures, and a bar that shows them. */
export function SpaceBar({ need }: { need: SpaceNeed }) {
  const { path, requiredBytes, reservedBytes, freeUpBytes } = need
  const available = Math.max(0, need.availableBytes)
  const whole = Math.max(requiredBytes, available, 1)
  const short = freeUpBytes > 0
  return (
    <div className={classes['space']}>
      <div className={classes['bar']} aria-hidden="true" data-short={short || undefined}>
        <span className={classes['fits']} style={{ width: percent(Math.min(requiredBytes, available), whole) }} />
        {short && <span className={classes['over']} style={{ width: percent(requiredBytes - available, whole) }} />}
      </div>
      <dl className={classes['figures']}>
        <div>
          <dt>Needs</dt>
          <dd title="With a margin of 15 %">{formatSize(requiredBytes)}</dd>
        </div>
        <div>
          <dt>Available</dt>
          <dd title={reservedBytes > 0 ? `${formatSize(reservedBytes)} are reserved by running operations` : undefined}>
            {formatSize(available)}
          </dd>
        </div>
        <div data-short={short || undefined}>
          <dt>To free first</dt>
          <dd>{short ? formatSize(freeUpBytes) : 'nothing'}</dd>
        </div>
      </dl>
      <p className={classes['note']}>
        In <code title={path}>{folderOf(path)}</code>, a margin of 15 % included
        {reservedBytes > 0 && `; running operations have reserved ${formatSize(reservedBytes)}`}.
      </p>
    </div>
  )
}

/** At least a sliver, so that little is not nothing. */
function percent(part: number, whole: number): string {
  return part <= 0 ? '0' : `max(3px, ${((part / whole) * 100).toFixed(2)}%)`
}

function folderOf(path: string): string {
  return `${path.split('/').filter(Boolean).at(-1) ?? ''}/`
}
