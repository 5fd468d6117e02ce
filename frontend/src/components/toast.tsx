import type { Operation } from '@domain/operation.js'
import { Button } from '@mantine/core'
import { notifications } from '@mantine/notifications'
import { ApiError } from '../api/client.js'
import classes from './toast.module.css'
import { Words } from './Words.js'

/** Says that something is done. Goes away by itself. */
export function toastDone(message: string): void {
  notifications.show({ message, color: 'teal', autoClose: 4000, withBorder: false })
}

/** Says that something is done and offers to take it back; stays long enough to be read and reached. */
export function toastUndoable(message: string, onUndo: () => void): void {
  const id = `undo-${Math.random()}`
  notifications.show({
    id,
    color: 'teal',
    autoClose: 12_000,
    withBorder: false,
    message: (
      <span className={classes['undoable']}>
        <span>{message}</span>
        <Button
          size="xs"
          variant="default"
          onClick={() => {
            notifications.hide(id)
            onUndo()
          }}
        >
          Undo
        </Button>
      </span>
    ),
  })
}

/** Says that something failed. Stays until it is put away, so that it can be read. */
export function toastError(what: string, error: unknown): void {
  const known = error instanceof ApiError ? error : undefined
  notifications.show({
    title: what,
    color: 'red',
    autoClose: false,
    message: (
      <div className={classes['lines']} role="alert">
        <p>
          <Words>{known?.message ?? 'Something in this page went wrong.'}</Words>
        </p>
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
      </div>
    ),
  })
}

/** A long task failed; its log is in the tasks drawer. */
export function toastFailedOperation(operation: Operation): void {
  const { title, error } = operation
  notifications.show({
    title: `${title} failed`,
    color: 'red',
    autoClose: false,
    message: (
      <div className={classes['lines']} role="alert">
        <p>
          <Words>{error?.message ?? 'The server stopped in the middle of it.'}</Words>
        </p>
        {error?.hint && (
          <p>
            <Words>{error.hint}</Words>
          </p>
        )}
      </div>
    ),
  })
}

/** A key asked for something that is not possible now. */
export function toastRefused(name: string, reason: string): void {
  notifications.show({ title: name, message: reason, color: 'gray', autoClose: 6000 })
}
