import type { NodeView } from '@domain/node.js'
import { IconCamera } from '@tabler/icons-react'
import { getRouteApi } from '@tanstack/react-router'
import { lazy, Suspense } from 'react'
import { useSnapshots } from '../../api/disks.js'
import { useNode } from '../../api/nodes.js'
import { ActionButton } from '../../components/ActionButton.js'
import { EmptyState } from '../../components/EmptyState.js'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { TableSkeleton } from '../../components/TableSkeleton.js'
import { SnapshotTree } from '../../snapshots/SnapshotTree.js'
import { formatSize } from '../../util/size.js'
import { ScheduleSetting } from './ScheduleSetting.js'
import classes from './SnapshotsTab.module.css'

const CreateSnapshotDialog = lazy(async () => ({
  default: (await import('../../snapshots/CreateSnapshotDialog.js')).CreateSnapshotDialog,
}))

const page = getRouteApi('/nodes/$nodeId')
const route = getRouteApi('/nodes/$nodeId/snapshots')

/** The moments that were kept, what each stands on, and where the node is now. */
export function SnapshotsTab() {
  const { nodeId } = page.useParams()
  const { data: node } = useNode(nodeId)
  if (!node) return null
  return <Snapshots node={node} />
}

function Snapshots({ node }: { node: NodeView }) {
  const search = route.useSearch()
  const navigate = route.useNavigate()
  const snapshots = useSnapshots(node.id)
  const ask = (open: boolean) => void navigate({ search: open ? { new: 'yes' } : {}, replace: true })
  const take = (
    <ActionButton
      leftSection={<IconCamera size={16} stroke={1.75} aria-hidden />}
      reason={node.actions.snapshot}
      onClick={() => ask(true)}
    >
      Take a snapshot
    </ActionButton>
  )
  const all = snapshots.data ?? []
  return (
    <div className={classes['page']}>
      {snapshots.isError && <ErrorNotice what="The snapshots could not be read" error={snapshots.error} />}
      {snapshots.isPending && <TableSkeleton rows={3} />}
      {snapshots.data && all.length === 0 && (
        <EmptyState icon={<IconCamera size={22} stroke={1.5} />} title="No snapshots yet" action={take}>
          A snapshot keeps the disks as they are now. You can go back to it, clone from it, or take it with you.
        </EmptyState>
      )}
      {all.length > 0 && (
        <>
          <div className={classes['lead']}>
            <p>
              {all.length} {all.length === 1 ? 'snapshot keeps' : 'snapshots keep'}{' '}
              {formatSize(all.reduce((sum, { usedBytes }) => sum + usedBytes, 0))} on the disk. Newest first.
            </p>
            {take}
          </div>
          <SnapshotTree node={node} snapshots={all} />
        </>
      )}
      <ScheduleSetting key={JSON.stringify(node.snapshotSchedule)} node={node} />
      <Suspense>{search.new && <CreateSnapshotDialog node={node} onClose={() => ask(false)} />}</Suspense>
    </div>
  )
}
