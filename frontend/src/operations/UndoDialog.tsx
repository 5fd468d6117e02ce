import type { Operation } from '@domain/operation.js'
import { PlanDialog } from '../plan/PlanDialog.js'
import { undoOf } from './undo.js'

/** Shows what comes back from the trash, and what makes room for it, before it does. */
export function UndoDialog({ operation, onClose }: { operation: Operation; onClose: () => void }) {
  return (
    <PlanDialog
      title={`Undo “${operation.title}”?`}
      asked={undoOf(operation)}
      confirm="Undo it"
      failure={`“${operation.title}” was not undone`}
      onClose={onClose}
    >
      <p>All that it moved to the trash comes back to where it was.</p>
    </PlanDialog>
  )
}
