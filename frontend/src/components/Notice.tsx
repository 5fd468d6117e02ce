import { IconAlertTriangle, IconInfoCircle } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import classes from './Notice.module.css'

/** A sentence that stands out in the page: something to know, or something to mend. */
export function Notice({
  tone,
  title,
  children,
}: {
  tone: 'info' | 'warn' | 'bad'
  title?: string
  children: ReactNode
}) {
  const Sign = tone === 'info' ? IconInfoCircle : IconAlertTriangle
  return (
    <div className={classes['notice']} data-tone={tone}>
      <Sign size={16} stroke={1.75} aria-hidden />
      <div className={classes['text']}>
        {title && <p className={classes['title']}>{title}</p>}
        {children}
      </div>
    </div>
  )
}
