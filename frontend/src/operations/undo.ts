import type { Operation, OperationKind } from '@domain/operation.js'
import type { TrashView } from '@domain/trash.js'
import type { Asked } from '../api/plans.js'

const UNDOABLE: ReadonlySet<OperationKind> = new Set<OperationKind>([
  'node.delete',
  'node.reset',
  'snapshot.restore',
  'snapshot.delete',
  'drive.delete',
  'storage.discard',
])

/** It is of a kind that moves things to the trash; whether they are there, the trash tells by the operation's id. */
export function mayBeUndone({ kind, state }: Pick<Operation, 'kind' | 'state'>): boolean {
  return state === 'succeeded' && UNDOABLE.has(kind)
}

/** What it moved to the trash is still there. */
export function isInTrash({ id }: Pick<Operation, 'id'>, entries: readonly Pick<TrashView, 'operationId'>[]): boolean {
  return entries.some(({ operationId }) => operationId === id)
}

/** Brings back all that the operation moved to the trash. */
export function undoOf({ id }: Pick<Operation, 'id'>): Asked {
  return { method: 'POST', path: `operations/${id}/undo`, body: {} }
}

/** What the toast says beside *Undo*. */
export function doneWords({ kind, title, items }: Operation): string {
  const scope = items.length > 1 ? `${items.length} nodes` : title.replace(/^\S+ /, '')
  if (kind === 'node.delete') return `${scope} and its disk are in the trash`
  if (kind === 'node.reset') return `${scope} ${items.length > 1 ? 'are' : 'is'} reset; what was there is in the trash`
  if (kind === 'storage.discard') return `${scope} is in the trash`
  return `${title}: done`
}
