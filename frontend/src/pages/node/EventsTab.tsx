import type { NodeEvent } from '@domain/event.js'
import { getRouteApi } from '@tanstack/react-router'
import { useNodeEvents } from '../../api/nodes.js'
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

function byDay(events: readonly NodeEvent[], now: number): [string, NodeEvent[]][] {
  const days = new Map<string, NodeEvent[]>()
  for (const event of events) {
    const day = dayHeading(event.at, now)
    days.set(day, [...(days.get(day) ?? []), event])
  }
  return [...days]
}
