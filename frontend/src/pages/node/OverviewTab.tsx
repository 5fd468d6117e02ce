import type { NodeView } from '@domain/node.js'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useNode, useNodeEvents } from '../../api/nodes.js'
import { NodeScreen } from '../../components/NodeScreen.js'
import { EventList } from './EventList.js'
import { NodeFacts } from './NodeFacts.js'
import classes from './OverviewTab.module.css'

const route = getRouteApi('/nodes/$nodeId')

/** Is it well, where is its disk, what happened last. */
export function OverviewTab() {
  const { nodeId } = route.useParams()
  const { data: node } = useNode(nodeId)
  const events = useNodeEvents(nodeId)
  if (!node) return null
  return (
    <div className={classes['columns']}>
      <div className={classes['main']}>
        <Link to="/nodes/$nodeId/console" params={{ nodeId }} className={classes['screen']}>
          <NodeScreen node={node} size="large" />
          <span className={classes['open']}>{screenLabel(node)}</span>
        </Link>
        <section className={classes['events']}>
          <header>
            <h2>What happened last</h2>
            <Link to="/nodes/$nodeId/events" params={{ nodeId }}>
              All events
            </Link>
          </header>
          <EventList events={events.data?.slice(0, 5)} error={events.error} />
        </section>
      </div>
      <NodeFacts node={node} />
    </div>
  )
}

function screenLabel(node: NodeView): string {
  if (node.actions.console === null) return 'Open the console'
  return node.lastExit ? 'Last screen' : 'Console'
}
