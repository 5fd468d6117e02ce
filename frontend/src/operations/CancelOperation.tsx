import type { Operation } from '@domain/operation.js'
import { useCancelOperation } from '../api/operations.js'
import { ActionButton } from '../components/ActionButton.js'
import { toastError } from '../components/toast.js'

/** Stops it where that leaves nothing half done. */
export function CancelOperation({ operation, size = 'xs' }: { operation: Operation; size?: 'xs' | 'sm' }) {
  const cancel = useCancelOperation()
  return (
    <ActionButton
      size={size}
      variant="default"
      loading={cancel.isPending}
      reason={operation.cancellable ? null : 'This step can’t be interrupted without leaving things half done.'}
      onClick={() =>
        cancel.mutate(operation.id, {
          onError: (error) => toastError(`“${operation.title}” was not cancelled`, error),
        })
      }
    >
      Cancel
    </ActionButton>
  )
}
