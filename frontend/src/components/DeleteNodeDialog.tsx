import type { NodeView } from '@domain/node.js'
import { Checkbox, Skeleton } from '@mantine/core'
import { useState } from 'react'
import { type DeletePlan, useDeleteNode, useDeletePlan } from '../api/nodes.js'
import { formatSize } from '../util/size.js'
import { ConfirmDialog } from './ConfirmDialog.js'
import classes from './Dialog.module.css'
import { ErrorNotice } from './ErrorNotice.js'
import { toastDone } from './toast.js'

interface Props {
  node: NodeView
  onClose: () => void
  onDeleted?: () => void
}

/** Shows the server's own plan: what goes, what stays, with sizes. The storage stays unless one asks for its removal. */
export function DeleteNodeDialog({ node, onClose, onDeleted }: Props) {
  const plan = useDeletePlan(node.id)
  const deletion = useDeleteNode()
  const [deleteStorage, setDeleteStorage] = useState(false)
  const total = plan.data?.files.reduce((sum, file) => sum + file.bytes, 0) ?? 0

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
          ? 'The node goes, and these files move to the trash:'
          : 'The node goes. These files stay on the server and can be attached to a new node:'}
      </p>
      {plan.isPending && <Skeleton height={56} />}
      {plan.isError && <ErrorNotice what="Its files could not be listed" error={plan.error} />}
      {plan.data && <Files plan={plan.data} />}
      <Checkbox
        checked={deleteStorage}
        onChange={(event) => setDeleteStorage(event.currentTarget.checked)}
        label={`Delete the disk as well${total > 0 ? ` (frees ${formatSize(total)} when the trash is emptied)` : ''}`}
      />
    </ConfirmDialog>
  )
}

function Files({ plan }: { plan: DeletePlan }) {
  if (plan.files.length === 0) return <p className={classes['soft']}>It has no files.</p>
  return (
    <ul className={classes['files']} aria-label="Files of this node">
      {plan.files.map((file) => (
        <li key={file.path}>
          <span className={classes['what']}>{file.what}</span>
          <span>{formatSize(file.bytes)}</span>
          <code title={file.path}>{file.path.split('/').at(-1)}</code>
        </li>
      ))}
    </ul>
  )
}
