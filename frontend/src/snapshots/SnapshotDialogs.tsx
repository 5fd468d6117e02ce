import type { NodeView } from '@domain/node.js'
import type { SnapshotView } from '@domain/snapshot.js'
import { Checkbox } from '@mantine/core'
import { useState } from 'react'
import { PlanDialog } from '../plan/PlanDialog.js'

interface Props {
  node: NodeView
  snapshot: SnapshotView
  onClose: () => void
}

/** Back to a kept moment: the node keeps its id, its addresses and its links. */
export function RestoreSnapshotDialog({ node, snapshot, onClose }: Props) {
  const [now, setNow] = useState(false)
  const [some, setSome] = useState<readonly string[]>()
  const running = node.actions.stop === null
  const all = snapshot.disks.map(({ driveId }) => driveId)
  const drives = some ?? all
  return (
    <PlanDialog
      title={`Restore ${node.name} to ${snapshot.name}?`}
      asked={
        drives.length === 0
          ? null
          : {
              method: 'POST',
              path: `nodes/${node.id}/snapshots/${snapshot.id}/restore`,
              body: {
                ...(drives.length < all.length ? { drives } : {}),
                ...(running && now ? { now: true } : {}),
              },
            }
      }
      problem={drives.length === 0 ? 'Choose at least one disk.' : undefined}
      confirm={`Restore ${snapshot.name}`}
      failure={`${node.name} was not restored`}
      danger
      onClose={onClose}
      options={
        running && (
          <Checkbox
            checked={now}
            onChange={(event) => setNow(event.currentTarget.checked)}
            label="Do not wait for the guest to shut down"
            description="It is switched off. Faster; what it has written goes to the trash in any case."
          />
        )
      }
    >
      <p>
        What is on the disks now moves to the trash; Undo brings it back. Name, addresses and snapshots stay.
        {running && ` ${node.name} is stopped for it and started again.`}
        {snapshot.memory && ' Its memory was kept, too: it goes on at the same screen.'}
      </p>
      {all.length > 1 && (
        <Checkbox.Group label="Disks" value={[...drives]} onChange={setSome}>
          {all.map((id) => (
            <Checkbox key={id} value={id} label={id} mt={6} />
          ))}
        </Checkbox.Group>
      )}
    </PlanDialog>
  )
}

/** One moment less to go back to: what later ones need of it is merged into them. */
export function DeleteSnapshotDialog({ node, snapshot, onClose }: Props) {
  return (
    <PlanDialog
      title={`Delete ${snapshot.name}?`}
      asked={{ method: 'DELETE', path: `nodes/${node.id}/snapshots/${snapshot.id}` }}
      confirm={`Delete ${snapshot.name}`}
      failure={`${snapshot.name} was not deleted`}
      danger
      onClose={onClose}
    >
      <p>
        {node.name} stays as it is and later snapshots stay whole: what they need of this one is kept. Only the way back
        to this moment goes.
      </p>
    </PlanDialog>
  )
}
