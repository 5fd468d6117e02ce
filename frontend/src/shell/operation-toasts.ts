import type { Operation } from '@domain/operation.js'
import { type QueryClient, useQueryClient } from '@tanstack/react-query'
import { useEffect, useEffectEvent, useRef } from 'react'
import { useCurrentUser } from '../api/current-user.js'
import { useOperations } from '../api/operations.js'
import { trashQuery } from '../api/storage.js'
import { useWork } from '../api/work.js'
import { toastDone, toastError, toastFailedOperation, toastUndoable } from '../components/toast.js'
import { doneWords, isInTrash, mayBeUndone, undoOf } from '../operations/undo.js'

/**
 * Says so when one of my long tasks ends, and offers to undo what moved something to the trash, however short it was.
 * Power actions and single creations answer where they were asked for.
 */
export function useOperationToasts(): void {
  const user = useCurrentUser()
  const { data: operations } = useOperations()
  const client = useQueryClient()
  const work = useWork()
  /** What had ended when the page came, or has been said. */
  const said = useRef<Set<string>>(null)

  const undo = (operation: Operation) =>
    work.mutate(undoOf(operation), {
      onError: (error) => toastError(`“${operation.title}” was not undone`, error),
    })
  const announce = useEffectEvent(async (operation: Operation) => {
    const { state, title } = operation
    if (mayBeUndone(operation) && (await isStillInTrash(client, operation))) {
      toastUndoable(doneWords(operation), () => undo(operation))
      return
    }
    if (!isLong(operation)) return // whoever asked waited for the answer
    if (state === 'succeeded') toastDone(`${title}: done`)
    else if (state === 'cancelled') toastDone(`${title}: cancelled, nothing was kept`)
    else toastFailedOperation(operation)
  })

  useEffect(() => {
    if (!operations) return
    const ended = operations.filter(({ state }) => state !== 'running')
    if (said.current === null) {
      said.current = new Set(ended.map(({ id }) => id))
      return
    }
    for (const operation of ended) {
      if (said.current.has(operation.id)) continue
      said.current.add(operation.id)
      if (operation.actorId === user.id) void announce(operation)
    }
  }, [operations, user.id])
}

async function isStillInTrash(client: QueryClient, operation: Operation): Promise<boolean> {
  try {
    const { entries } = await client.fetchQuery({ ...trashQuery, staleTime: 0 })
    return isInTrash(operation, entries)
  } catch {
    return false // the way back is offered where the trash can be seen
  }
}

/** Whoever asked for it went on with something else meanwhile. */
function isLong({ kind, items }: Operation): boolean {
  return LONG.has(kind) || items.length > 1
}

const LONG: ReadonlySet<Operation['kind']> = new Set<Operation['kind']>([
  'image.build',
  'image.pull',
  'image.import',
  'node.clone',
  'node.send',
  'node.receive',
  'node.reset',
  'node.attach',
  'snapshot.create',
  'snapshot.restore',
  'snapshot.delete',
  'drive.delete',
  'drive.move',
  'trash.restore',
  'trash.purge',
  'storage.discard',
  'storage.repair',
])
