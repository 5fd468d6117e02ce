import { Button } from '@mantine/core'
import classes from './ShowMore.module.css'

/** A long list shows its beginning; the rest comes when asked for. */
export function ShowMore({ shown, total, onMore }: { shown: number; total: number; onMore: () => void }) {
  if (total <= shown) return null
  return (
    <div className={classes['more']}>
      <span>
        {shown} of {total} shown
      </span>
      <Button variant="default" size="xs" onClick={onMore}>
        Show more
      </Button>
    </div>
  )
}
