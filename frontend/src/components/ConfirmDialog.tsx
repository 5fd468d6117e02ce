import { Button } from '@mantine/core'
import type { ReactNode } from 'react'
import classes from './Dialog.module.css'
import { ErrorNotice } from './ErrorNotice.js'
import { Dialog } from './Dialog.js'

interface Props {
  title: string
  /** What goes, what stays, and how to undo it. */
  children: ReactNode
  /** A verb with its scope: `Switch off web-07`. */
  confirm: string
  danger?: boolean
  busy: boolean
  failure?: { what: string; error: unknown } | null
  onConfirm: () => void
  onClose: () => void
}

/** Asks before something that can't simply be taken back. */
export function ConfirmDialog({ title, children, confirm, danger = false, busy, failure, onConfirm, onClose }: Props) {
  return (
    <Dialog onClose={onClose} title={title}>
      <div className={classes['body']}>
        {children}
        {failure && <ErrorNotice what={failure.what} error={failure.error} />}
        <div className={classes['actions']}>
          <Button variant="default" size="sm" onClick={onClose} data-autofocus>
            Cancel
          </Button>
          <Button size="sm" {...(danger ? { 'data-danger': true } : {})} loading={busy} onClick={onConfirm}>
            {confirm}
          </Button>
        </div>
      </div>
    </Dialog>
  )
}
