import type { Orphan } from '@domain/storage.js'
import { PlanDialog } from '../../plan/PlanDialog.js'
import { formatSize } from '../../util/size.js'

/** An orphan goes to the trash, from where it can be brought back. */
export function DiscardDialog({ orphan, onClose }: { orphan: Orphan; onClose: () => void }) {
  const file = orphan.path.split('/').at(-1) ?? orphan.path
  return (
    <PlanDialog
      title={`Discard ${file}?`}
      asked={{ method: 'POST', path: 'storage/discard', body: { path: orphan.path } }}
      confirm="Move it to the trash"
      failure={`${file} was not discarded`}
      danger
      onClose={onClose}
    >
      <p>
        The file ({formatSize(orphan.usedBytes)}) moves to the trash and can be restored from there until it is purged.
      </p>
    </PlanDialog>
  )
}
