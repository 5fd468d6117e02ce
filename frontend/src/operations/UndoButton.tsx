import type { Operation } from '@domain/operation.js'
import { IconArrowBackUp } from '@tabler/icons-react'
import { lazy, Suspense, useState } from 'react'
import { useTrash } from '../api/storage.js'
import { ActionButton } from '../components/ActionButton.js'
import { isInTrash, mayBeUndone } from './undo.js'

const UndoDialog = lazy(async () => ({ default: (await import('./UndoDialog.js')).UndoDialog }))

/** The way back for what an operation moved to the trash; not there once the trash no longer holds it. */
export function UndoButton({ operation, size = 'sm' }: { operation: Operation; size?: 'xs' | 'sm' }) {
  const undoable = mayBeUndone(operation)
  const trash = useTrash({ enabled: undoable })
  const [open, setOpen] = useState(false)
  if (!undoable || !trash.data || !isInTrash(operation, trash.data.entries)) return null
  return (
    <>
      <ActionButton
        size={size}
        variant="default"
        leftSection={<IconArrowBackUp size={15} stroke={1.75} aria-hidden />}
        aria-label={`Undo “${operation.title}”`}
        onClick={() => setOpen(true)}
      >
        Undo
      </ActionButton>
      <Suspense>{open && <UndoDialog operation={operation} onClose={() => setOpen(false)} />}</Suspense>
    </>
  )
}
