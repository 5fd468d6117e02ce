import { SandlabError } from '../../domain/error.js'
import type { Operation } from '../../domain/operation.js'
import type { OperationPlan } from '../../domain/plan.js'
import type { TrashEntry } from '../../domain/trash.js'

export function undoTitle({ title }: Pick<Operation, 'title'>): string {
  return title.startsWith('Undo: ') ? `Redo: ${title.slice('Undo: '.length)}` : `Undo: ${title}`
}

/** Throws `wrong_status` while it runs, `not_found` when nothing of it is in the trash. Pure. */
export function refuseUndo(operation: Operation, entries: readonly TrashEntry[]): void {
  if (operation.state === 'running') {
    throw new SandlabError('wrong_status', `"${operation.title}" has not ended yet.`, {
      hint: operation.cancellable ? 'It can be cancelled.' : 'Wait until it has ended.',
    })
  }
  if (entries.length > 0) return
  throw new SandlabError('not_found', `Nothing of "${operation.title}" is in the trash.`, { hint: hintOf(operation) })
}

function hintOf({ kind, outcome }: Operation): string {
  if (outcome === 'rolled-back') return 'It was taken back when it failed: nothing was changed.'
  if (kind === 'node.delete') return 'If its storage was kept, attach it again: see Storage.'
  return 'It has been undone already, was removed for good, or moved nothing to the trash.'
}

/** In the words of an undo. */
export function planUndo(plan: OperationPlan): OperationPlan {
  return { ...plan, warnings: [...plan.warnings, 'All of it comes back, or nothing.'] }
}
