import { formatSize } from '../../util/size.js'
import classes from './UsageBar.module.css'

/** How much of a disk's virtual size the node's own data takes. */
export function UsageBar({ usedBytes, sizeBytes }: { usedBytes: number | null; sizeBytes: number }) {
  const used = usedBytes ?? 0
  const share = used > 0 ? Math.min(1, Math.max(used / sizeBytes, 0.01)) : 0
  const text =
    usedBytes === null ? `${formatSize(sizeBytes)} disk` : `${formatSize(used)} of ${formatSize(sizeBytes)} used`
  return (
    <div className={classes['usage']}>
      <div className={classes['track']} aria-hidden="true">
        <div className={classes['fill']} style={{ width: `${share * 100}%` }} />
      </div>
      <span className={classes['text']}>{text}</span>
    </div>
  )
}
