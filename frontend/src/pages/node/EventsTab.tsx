import type { NodeEvent } from '@domain/event.js'
import { getRouteApi, Link } from '@tanstack/react-router'
import { useNodeEvents } from '../../api/nodes.js'
import { useOperations } from '../../api/operations.js'
import { useTrash } from '../../api/storage.js'
import { RelativeTime } from '../../components/RelativeTime.js'
import { isInTrash, mayBeUndone } from '../../operations/undo.js'
import { UndoButton } from '../../operations/UndoButton.js'
import { dayHeading } from '../../util/time.js'
import { useNow } from '../../util/use-now.js'
import { EventList } from './EventList.js'
import classes from './EventsTab.module.css'

const route = getRouteApi('/nodes/$nodeId')

/** What happened to the node, by day; the newest hundred are kept. */
export function EventsTab() {
  const { nodeId } = route.useParams()
  const events = useNodeEvents(nodeId)
  const now = useNow(60_000)
  if (!events.data) return <EventList events={undefined} error={events.error} />
  return (
    <div className={classes['days']}>
      <UndoableHere nodeId={nodeId} />
      {byDay(events.data, now).map(([day, ofDay]) => (
        <section key={day}>
          <h2>{day}</h2>
          <EventList events={ofDay} error={null} />
        </section>
      ))}
      {events.data.length >= 100 && <p className={classes['end']}>Older events are in the activity log.</p>}
    </div>
  )
}

/** What of its history can still be taken back. */
function UndoableHere({ nodeId }: { nodeId: string }) {
  const operations = useOperations()
  const trash = useTrash()
  const shown = (operations.data ?? []).filter(
    (operation) =>
      mayBeUndone(operation) &&
      isInTrash(operation, trash.data?.entries ?? []) &&
      (operation.target?.id === nodeId || operation.items.some(({ id }) => id === nodeId)),
  )
  if (shown.length === 0) return null
  return (
    <section>
      <h2>Can be undone</h2>
      <ul className={classes['undoable']}>
        {shown.map((operation) => (
          <li key={operation.id}>
            <span>
              <Link to="/operations/$operationId" params={{ operationId: operation.id }}>
                {operation.title}
              </Link>
              <span className={classes['when']}>
                {operation.actorLogin}, <RelativeTime at={operation.endedAt ?? operation.startedAt} />
              </span>
            </span>
            <UndoButton operation={operation} size="xs" />
          </li>
        ))}
      </ul>
    </section>
  )
}

function byDay(events: readonly NodeEvent[], now: number): [string, NodeEvent[]][] {
  const days = new Map<string, NodeEvent[]>()
  for (const event of events) {
    const day = dayHeading(event.at, now)
    days.set(day, [...(days.get(day) ?? []), event])
  }
  return [...days]
}
