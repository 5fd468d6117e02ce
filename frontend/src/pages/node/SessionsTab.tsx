import { getRouteApi } from '@tanstack/react-router'
import { useNode } from '../../api/nodes.js'
import { ConsoleHistory } from './ConsoleHistory.js'
import { Recordings } from './Recordings.js'
import classes from './SessionsTab.module.css'

const route = getRouteApi('/nodes/$nodeId')

/** Who had a console of the node open, and what was recorded of it. */
export function SessionsTab() {
  const { nodeId } = route.useParams()
  const { data: node } = useNode(nodeId)
  if (!node) return null
  return (
    <div className={classes['page']}>
      <Recordings node={node} />
      <ConsoleHistory node={node} />
    </div>
  )
}
