import type { NodeEvent } from '@domain/event.js'
import { Skeleton } from '@mantine/core'
import { ErrorNotice } from '../../components/ErrorNotice.js'
import { Mark } from '../../components/Mark.js'
import type { Shape, Tone } from '../../components/node-status.js'
import { RelativeTime } from '../../components/RelativeTime.js'
import classes from './EventList.module.css'

const FACES: Record<NodeEvent['kind'], { tone: Tone; shape: Shape }> = {
  created: { tone: 'off', shape: 'ring' },
  started: { tone: 'run', shape: 'dot' },
  stopped: { tone: 'off', shape: 'ring' },
  crashed: { tone: 'bad', shape: 'cross' },
  adopted: { tone: 'boot', shape: 'half' },
  changed: { tone: 'off', shape: 'ring' },
  warning: { tone: 'warn', shape: 'triangle' },
  broken: { tone: 'bad', shape: 'cross' },
  paused: { tone: 'held', shape: 'bars' },
  suspended: { tone: 'held', shape: 'bars' },
}

interface Props {
  /** Undefined while they are read. */
  events: readonly NodeEvent[] | undefined
  error: unknown
}

/** Events of a node as a time line, newest first. */
export function EventList({ events, error }: Props) {
  if (error) return <ErrorNotice what="The events could not be read" error={error} />
  if (!events) return <Skeleton height={120} />
  if (events.length === 0) return <p className={classes['none']}>Nothing has happened yet.</p>
  return (
    <ol className={classes['list']}>
      {events.map((event, index) => (
        <li key={`${event.at}-${index}`} className={classes['event']}>
          <span className={classes['sign']}>
            <Mark {...FACES[event.kind]} />
          </span>
          <span className={classes['text']}>{event.text}</span>
          <span className={classes['meta']}>
            {event.actorLogin ?? 'SandLabX'}, <RelativeTime at={event.at} />
          </span>
        </li>
      ))}
    </ol>
  )
}
