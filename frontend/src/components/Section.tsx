import type { ReactNode } from 'react'
import classes from './Section.module.css'

/** One subject of a settings page: what it is about on the left, the controls on the right. */
export function Section({
  title,
  description,
  children,
}: {
  title: string
  description?: ReactNode
  children: ReactNode
}) {
  return (
    <section className={classes['section']}>
      <div className={classes['about']}>
        <h2>{title}</h2>
        {description && <p>{description}</p>}
      </div>
      <div className={classes['controls']}>{children}</div>
    </section>
  )
}
