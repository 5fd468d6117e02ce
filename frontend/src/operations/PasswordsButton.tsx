import type { Operation } from '@domain/operation.js'
import { lazy, Suspense, useState } from 'react'
import { useCurrentUser } from '../api/current-user.js'
import { ActionButton } from '../components/ActionButton.js'
import { useNow } from '../util/use-now.js'

const PasswordsDialog = lazy(async () => ({ default: (await import('./PasswordsDialog.js')).PasswordsDialog }))

const KEPT_MS = 3_600_000

/** The way to the generated guest passwords, for who asked for the nodes, as long as the server remembers them. */
export function PasswordsButton({ operation, size = 'xs' }: { operation: Operation; size?: 'xs' | 'sm' }) {
  const user = useCurrentUser()
  const now = useNow(60_000)
  const [open, setOpen] = useState(false)
  if (!mayHavePasswords(operation) || operation.actorId !== user.id) return null
  if (now - Date.parse(operation.endedAt ?? operation.startedAt) > KEPT_MS) return null
  return (
    <>
      <ActionButton size={size} variant="default" onClick={() => setOpen(true)}>
        Guest passwords
      </ActionButton>
      <Suspense>{open && <PasswordsDialog operation={operation} onClose={() => setOpen(false)} />}</Suspense>
    </>
  )
}

function mayHavePasswords({ kind, items, endedAt }: Operation): boolean {
  return (
    kind === 'node.create' && items.length > 1 && endedAt !== null && items.some((item) => item.state === 'succeeded')
  )
}
