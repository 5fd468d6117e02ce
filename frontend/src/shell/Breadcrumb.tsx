import { Link, useLocation, useParams } from '@tanstack/react-router'
import { useNode } from '../api/nodes.js'
import { useOperation } from '../api/operations.js'
import classes from './Breadcrumb.module.css'
import { usePlaces } from './places.js'

/** Where I am, as links back. */
export function Breadcrumb() {
  const pathname = useLocation({ select: (location) => location.pathname })
  const { nodeId, operationId } = useParams({ strict: false })
  const places = usePlaces()
  const place = places.find((one) => pathname.includes(one.to))
  const label = place?.label ?? elsewhere(pathname)
  return (
    <nav className={classes['trail']} aria-label="Breadcrumb">
      <ol>
        <li>
          {place && (nodeId ?? operationId) ? (
            <Link to={place.to}>{label}</Link>
          ) : (
            <span aria-current="page" className={classes['here']}>
              {label}
            </span>
          )}
        </li>
        {nodeId && (
          <li>
            <NodeName id={nodeId} />
          </li>
        )}
        {operationId && (
          <li>
            <OperationTitle id={operationId} />
          </li>
        )}
      </ol>
    </nav>
  )
}

function elsewhere(pathname: string): string {
  if (pathname.includes('/account')) return 'My account'
  return pathname.includes('/trash') ? 'Trash' : 'SandLabX'
}

function NodeName({ id }: { id: string }) {
  const node = useNode(id)
  return (
    <span aria-current="page" className={classes['here']}>
      {node.data?.name ?? (node.isError ? 'not found' : '…')}
    </span>
  )
}

function OperationTitle({ id }: { id: string }) {
  const operation = useOperation(id)
  return (
    <span aria-current="page" className={classes['here']}>
      {operation.data?.title ?? (operation.isError ? 'not found' : '…')}
    </span>
  )
}
