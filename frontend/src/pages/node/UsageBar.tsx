import { formatSize } from '../../util/size.js'
import classes from './UsageBar.module.css'

/** How much of a disk's virtual size the node's own data takes. */
export function UsageBar({ usedBytes, sizeBytes }: { usedBytes: number | null; sizeBytes: number }) {
  const used = usedBytes ?? 0
  const percent = Math.min(100, (used / sizeBytes) * 100)
  const text =
    usedBytes === null ? `${formatSize(sizeBytes)} disk` : `${formatSize(used)} of ${formatSize(sizeBytes)} used`
  return (
    <div className={classes['usage']}>
      <div
        className={classes['track']}
        role="meter"
        aria-label="Disk use"
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(percent)}
        aria-valuetext={text}
      >
        <div className={classes['fill']} style={{ width: `${Math.max(percent, used > 0 ? 1 : 0)}%` }} />
      </div>
      <span className={classes['text']}>{text}</span>
    </div>
  )
}
