import type { Operation } from '@domain/operation.js'
import { useEffect, useRef } from 'react'
import { useCurrentUser } from '../api/current-user.js'
import { useOperations } from '../api/operations.js'
import { toastDone, toastFailedOperation } from '../components/toast.js'

/** Says so when one of my long tasks ends. Power actions and single creations answer where they were asked for. */
export function useOperationToasts(): void {
  const user = useCurrentUser()
  const { data: operations } = useOperations()
  const running = useRef(new Set<string>())

  useEffect(() => {
    for (const operation of operations ?? []) {
      if (operation.actorId !== user.id || !isLong(operation)) continue
      if (operation.state === 'running') running.current.add(operation.id)
      else if (running.current.delete(operation.id)) announce(operation)
    }
  }, [operations, user.id])
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
])

function announce(operation: Operation): void {
  if (operation.state === 'succeeded') toastDone(`${operation.title}: done`)
  else if (operation.state === 'cancelled') toastDone(`${operation.title}: cancelled, nothing was kept`)
  else toastFailedOperation(operation)
}
