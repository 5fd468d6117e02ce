import type { NodeView } from '@domain/node.js'
import { IconPlus, IconShieldCheck } from '@tabler/icons-react'
import { getRouteApi } from '@tanstack/react-router'
import { lazy, Suspense, useState } from 'react'
import { useMay } from '../../api/current-user.js'
import { useDrives } from '../../api/disks.js'
import { useNode } from '../../api/nodes.js'
import { ActionButton } from '../../components/ActionButton.js'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { Notice } from '../../components/Notice.js'
import { TableSkeleton } from '../../components/TableSkeleton.js'
import { DrivesTable } from '../../drives/DrivesTable.js'
import classes from './DisksTab.module.css'
import { RootChain } from './RootChain.js'

const AddDriveDialog = lazy(async () => ({ default: (await import('../../drives/AddDriveDialog.js')).AddDriveDialog }))
const VerifyNodeDialog = lazy(async () => ({
  default: (await import('../../verify/VerifyNodeDialog.js')).VerifyNodeDialog,
}))

const route = getRouteApi('/nodes/$nodeId')

/** The disks that the guest has, and the chain of files that its root disk is read through. */
export function DisksTab() {
  const { nodeId } = route.useParams()
  const { data: node } = useNode(nodeId)
  return node ? <Disks node={node} /> : null
}

function Disks({ node }: { node: NodeView }) {
  const may = useMay()
  const drives = useDrives(node.id)
  const [asking, setAsking] = useState<'add' | 'verify' | null>(null)
  const pending = drives.data?.filter(({ appliesAtNextStart }) => appliesAtNextStart).length ?? 0
  return (
    <div className={classes['page']}>
      <div className={classes['head']}>
        <p className={classes['lead']}>
          {may('node.drives')
            ? 'Drives can be added and changed at any time. What you change is stored now and holds from the next start.'
            : 'The disks that the guest sees, in this order.'}
        </p>
        <div className={classes['buttons']}>
          <ActionButton
            variant="default"
            leftSection={<IconShieldCheck size={16} stroke={1.75} aria-hidden />}
            onClick={() => setAsking('verify')}
          >
            Verify
          </ActionButton>
          {may('node.drives') && (
            <ActionButton
              leftSection={<IconPlus size={16} aria-hidden />}
              reason={node.actions.changeDrives}
              onClick={() => setAsking('add')}
            >
              Add a drive
            </ActionButton>
          )}
        </div>
      </div>
      {pending > 0 && (
        <Notice tone="info">
          <p>
            {pending === 1 ? 'One drive differs' : `${pending} drives differ`} from what the running guest has. Stop and
            start the node to bring it up to date.
          </p>
        </Notice>
      )}
      {drives.isError && <ErrorNotice what="The drives could not be read" error={drives.error} />}
      {drives.isPending && <TableSkeleton rows={2} />}
      {drives.data && <DrivesTable node={node} drives={drives.data} />}
      <RootChain node={node} />
      <Suspense>
        {asking === 'add' && <AddDriveDialog node={node} drives={drives.data ?? []} onClose={() => setAsking(null)} />}
        {asking === 'verify' && <VerifyNodeDialog node={node} onClose={() => setAsking(null)} />}
      </Suspense>
    </div>
  )
}
