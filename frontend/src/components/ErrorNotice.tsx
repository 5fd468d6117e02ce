import { IconAlertTriangle } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { ApiError } from '../api/client.js'
import classes from './ErrorNotice.module.css'
import { Words } from './Words.js'

interface Props {
  /** What was attempted, as the beginning of a sentence: `The images could not be read`. */
  what: string
  error: unknown
  /** What is safe all the same. */
  safe?: string
  action?: ReactNode
}

/** What happened · what is safe · what to do, and the id under which the server's log has the rest. */
export function ErrorNotice({ what, error, safe, action }: Props) {
  const known = error instanceof ApiError ? error : undefined
  return (
    <div className={classes['notice']} role="alert">
      <IconAlertTriangle size={16} stroke={1.75} aria-hidden />
      <div className={classes['text']}>
        <p className={classes['what']}>{what}</p>
        <p>
          <Words>{known?.message ?? 'Something in this page went wrong.'}</Words>
        </p>
        {safe && <p>{safe}</p>}
        {known?.hint && (
          <p>
            <Words>{known.hint}</Words>
          </p>
        )}
        {known?.requestId && (
          <p className={classes['request']}>
            Request <code>{known.requestId}</code>
          </p>
        )}
        {action && <div className={classes['action']}>{action}</div>}
      </div>
    </div>
  )
}
