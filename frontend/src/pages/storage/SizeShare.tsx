import { formatSize } from '../../util/size.js'
import classes from './Storage.module.css'

/** How much it holds, beside the largest of its kind. */
export function SizeShare({ parts, largest }: { parts: readonly number[]; largest: number }) {
  const sum = parts.reduce((total, one) => total + one, 0)
  return (
    <span className={classes['share']}>
      <span className={classes['track']} aria-hidden="true">
        {parts.map((bytes, index) => (
          <span key={index} style={{ width: `${largest > 0 ? (bytes / largest) * 100 : 0}%` }} />
        ))}
      </span>
      <span className={classes['figure']}>{formatSize(sum)}</span>
    </span>
  )
}
