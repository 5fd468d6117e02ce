import type { NodeView } from '@domain/node.js'
import { Checkbox } from '@mantine/core'
import { useState } from 'react'
import { useDeleteNode } from '../api/nodes.js'
import { usePlan } from '../api/plans.js'
import { PlanView } from '../plan/PlanView.js'
import { ConfirmDialog } from './ConfirmDialog.js'
import { toastDone } from './toast.js'

interface Props {
  node: NodeView
  onClose: () => void
  onDeleted?: () => void
}

/** Shows the server's own plan: what goes, what stays, with sizes. The storage stays unless one asks for its removal. */
export function DeleteNodeDialog({ node, onClose, onDeleted }: Props) {
  const deletion = useDeleteNode()
  const [deleteStorage, setDeleteStorage] = useState(false)
  const path = `nodes/${node.id}${deleteStorage ? '?deleteStorage=true' : ''}`
  const { plan, error, fresh } = usePlan({ method: 'DELETE', path })

  const confirm = async () => {
    try {
      await deletion.mutateAsync({ id: node.id, deleteStorage })
    } catch {
      return // shown in the dialog
    }
    // Not in mutate's own callback: the live event may have taken away the row that this dialog belongs to.
    toastDone(
      deleteStorage ? `${node.name} and its disk are in the trash` : `${node.name} is deleted, its disk is kept`,
    )
    onClose()
    onDeleted?.()
  }

  return (
    <ConfirmDialog
      title={`Delete ${node.name}?`}
      confirm={deleteStorage ? `Delete ${node.name} and its disk` : `Delete ${node.name}, keep its disk`}
      danger
      busy={deletion.isPending}
      failure={deletion.isError ? { what: `${node.name} was not deleted`, error: deletion.error } : null}
      onConfirm={() => void confirm()}
      onClose={onClose}
    >
      <p>
        {deleteStorage
          ? 'The node goes, and its disk moves to the trash: it can be brought back until the trash is emptied.'
          : 'The node goes. Its disk stays on the server and can be attached to a new node.'}
      </p>
      <PlanView plan={plan} error={error} fresh={fresh} waiting="" />
      <Checkbox
        checked={deleteStorage}
        onChange={(event) => setDeleteStorage(event.currentTarget.checked)}
        label="Delete the disk as well"
      />
    </ConfirmDialog>
  )
}
