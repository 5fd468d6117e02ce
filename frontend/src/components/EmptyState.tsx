import type { ReactNode } from 'react'
import classes from './EmptyState.module.css'

interface Props {
  icon: ReactNode
  title: string
  /** One sentence. */
  children: ReactNode
  /** One button, and at most one link to learn more. */
  action?: ReactNode
}

/** Nothing here yet: says so and offers the next step. */
export function EmptyState({ icon, title, children, action }: Props) {
  return (
    <div className={classes['empty']}>
      <div className={classes['icon']} aria-hidden>
        {icon}
      </div>
      <h2>{title}</h2>
      <p>{children}</p>
      {action && <div className={classes['action']}>{action}</div>}
    </div>
  )
}
