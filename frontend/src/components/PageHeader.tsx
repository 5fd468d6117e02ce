import { type ReactNode, useEffect } from 'react'
import classes from './PageHeader.module.css'

interface Props {
  title: string
  /** One short line under the title. */
  description?: ReactNode
  actions?: ReactNode
}

/** The page's title, also in the browser's tab. */
export function PageHeader({ title, description, actions }: Props) {
  useDocumentTitle(title)
  return (
    <header className={classes['header']}>
      <div className={classes['titles']}>
        <h1>{title}</h1>
        {description && <p className={classes['description']}>{description}</p>}
      </div>
      {actions && <div className={classes['actions']}>{actions}</div>}
    </header>
  )
}

export function useDocumentTitle(title: string): void {
  useEffect(() => {
    document.title = `${title} · SandLabX`
  }, [title])
}
