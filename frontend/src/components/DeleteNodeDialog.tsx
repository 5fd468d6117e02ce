import type { NodeView } from '@domain/node.js'
import { Checkbox } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { useSnapshots } from '../api/disks.js'
import { forgetNode } from '../api/nodes.js'
import { PlanDialog } from '../plan/PlanDialog.js'
import { toastDone } from './toast.js'

interface Props {
  node: NodeView
  onClose: () => void
  onDeleted?: () => void
}

/** Shows the server's own plan: each file, its size, and its fate. The storage stays unless one asks for its removal. */
export function DeleteNodeDialog({ node, onClose, onDeleted }: Props) {
  const client = useQueryClient()
  const snapshots = useSnapshots(node.id)
  const [deleteStorage, setDeleteStorage] = useState(false)
  const [keepSnapshots, setKeepSnapshots] = useState(false)
  const count = snapshots.data?.length ?? 0

  const wishes = new URLSearchParams()
  if (deleteStorage) wishes.set('deleteStorage', 'true')
  if (deleteStorage && keepSnapshots) wishes.set('keepSnapshots', 'true')
  const query = wishes.size > 0 ? `?${wishes}` : ''

  return (
    <PlanDialog
      title={`Delete ${node.name}?`}
      asked={{ method: 'DELETE', path: `nodes/${node.id}${query}` }}
      confirm={deleteStorage ? `Delete ${node.name} and its disk` : `Delete ${node.name}, keep its disk`}
      failure={`${node.name} was not deleted`}
      danger
      onDone={() => {
        // What went to the trash says so by itself, with a way to undo it.
        if (!deleteStorage) toastDone(`${node.name} is deleted, its disk is kept`)
        onDeleted?.()
        forgetNode(client, node.id)
      }}
      onClose={onClose}
      options={
        <>
          <Checkbox
            checked={deleteStorage}
            onChange={(event) => setDeleteStorage(event.currentTarget.checked)}
            label="Delete the disk as well"
            description="It moves to the trash and can be brought back from there."
          />
          {deleteStorage && count > 0 && (
            <Checkbox
              checked={keepSnapshots}
              onChange={(event) => setKeepSnapshots(event.currentTarget.checked)}
              label={count === 1 ? 'Keep its snapshot' : `Keep its ${count} snapshots`}
              description="As files that can be attached to a new node."
            />
          )}
        </>
      }
    >
      <p>
        {deleteStorage
          ? 'The node goes, and its disk moves to the trash: it can be brought back until the trash is emptied.'
          : 'The node goes. Its disk stays on the server and can be attached to a new node.'}
      </p>
    </PlanDialog>
  )
}
