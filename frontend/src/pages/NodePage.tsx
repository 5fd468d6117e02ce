import { Skeleton } from '@mantine/core'
import { getRouteApi, Link, Outlet, useNavigate } from '@tanstack/react-router'
import { ApiError } from '../api/client.js'
import { useNode } from '../api/nodes.js'
import { ErrorNotice } from '../components/ErrorNotice.js'
import tabs from '../components/LinkTabs.module.css'
import { useDocumentTitle } from '../components/PageHeader.js'
import classes from './NodePage.module.css'
import { NodeHeader } from './node/NodeHeader.js'
import { NodeTrouble } from './node/NodeTrouble.js'
import { NotFoundPage } from './NotFoundPage.js'

const route = getRouteApi('/nodes/$nodeId')

const TABS = [
  { to: '/nodes/$nodeId', label: 'Overview', exact: true },
  { to: '/nodes/$nodeId/console', label: 'Console', exact: false },
  { to: '/nodes/$nodeId/disk', label: 'Disks', exact: false },
  { to: '/nodes/$nodeId/snapshots', label: 'Snapshots', exact: false },
  { to: '/nodes/$nodeId/events', label: 'Events', exact: false },
  { to: '/nodes/$nodeId/sessions', label: 'Sessions', exact: false },
  { to: '/nodes/$nodeId/settings', label: 'Settings', exact: false },
] as const

/** One node: is it well, and everything about it. */
export function NodePage() {
  const { nodeId } = route.useParams()
  const navigate = useNavigate()
  const node = useNode(nodeId)
  useDocumentTitle(node.data?.name ?? 'Node')

  if (node.error instanceof ApiError && (node.error.status === 404 || node.error.status === 400)) {
    return <NotFoundPage what="node" />
  }
  if (node.isPending) return <NodeSkeleton />
  if (!node.data) return <ErrorNotice what="The node could not be read" error={node.error} />
  return (
    <div className={classes['page']}>
      <NodeHeader node={node.data} onDeleted={() => void navigate({ to: '/nodes' })} />
      <NodeTrouble node={node.data} />
      <nav className={tabs['tabs']} aria-label="Node">
        {TABS.map(({ to, label, exact }) => (
          <Link
            key={to}
            to={to}
            params={{ nodeId }}
            className={tabs['tab']}
            activeOptions={{ exact }}
            activeProps={{ 'aria-current': 'page' }}
            replace
          >
            {label}
          </Link>
        ))}
      </nav>
      <Outlet />
    </div>
  )
}

function NodeSkeleton() {
  return (
    <div className={classes['page']} aria-busy="true">
      <Skeleton height={28} width={220} />
      <Skeleton height={18} width={340} />
      <Skeleton height={36} />
      <Skeleton height={280} />
    </div>
  )
}
