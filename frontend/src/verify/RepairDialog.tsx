import type { Repair } from '@domain/storage.js'
import { PlanDialog } from '../plan/PlanDialog.js'

/** One way to mend one finding. */
export interface Mending {
  nodeId: string
  name: string
  repair: Repair
  /** What it would do, and what is lost by it: the server's words. */
  title: string
  path: string
  argument: string | null
}

const VERBS: Record<Repair, string> = {
  'recreate-drive': 'Make the drive again',
  'restore-from-trash': 'Restore it from the trash',
  'restore-snapshot': 'Restore the snapshot',
  rebase: 'Change what it stands on',
  attach: 'Attach the file',
  'drop-record': 'Drop the record',
  'write-sidecar': 'Write the record beside it',
}

/** Shows what a repair would do, file by file, before it is done. */
export function RepairDialog({ mending, onClose }: { mending: Mending; onClose: () => void }) {
  const { nodeId, name, repair, title, path, argument } = mending
  return (
    <PlanDialog
      title={`Repair ${name}`}
      asked={{
        method: 'POST',
        path: 'storage/repair',
        body: { nodeId, repair, path, ...(argument === null ? {} : { argument }) },
      }}
      confirm={VERBS[repair]}
      failure={`${name} was not repaired`}
      danger={repair === 'drop-record' || repair === 'restore-snapshot'}
      onClose={onClose}
    >
      <p>{title}</p>
    </PlanDialog>
  )
}
