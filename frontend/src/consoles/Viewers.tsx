import type { Viewer } from '@domain/console.js'
import { Tooltip } from '@mantine/core'
import classes from './ConsoleBar.module.css'

interface Props {
  viewers: readonly Viewer[]
  selfId: string
}

const SHOWN = 4

/** Who is here, by their initials; who may type is marked. Nothing while one is alone. */
export function Viewers({ viewers, selfId }: Props) {
  if (viewers.length < 2) return null
  const shown = viewers.length > SHOWN ? viewers.slice(0, SHOWN - 1) : viewers
  const rest = viewers.slice(shown.length)
  return (
    <ul className={classes['viewers']} aria-label="Who is here">
      {shown.map((viewer) => (
        <Tooltip key={viewer.id} label={describe(viewer, selfId)}>
          <li
            className={classes['viewer']}
            data-writer={viewer.writer || undefined}
            aria-label={describe(viewer, selfId)}
          >
            {viewer.login.slice(0, 2)}
          </li>
        </Tooltip>
      ))}
      {rest.length > 0 && (
        <Tooltip label={rest.map((viewer) => describe(viewer, selfId)).join(', ')}>
          <li className={classes['viewer']} aria-label={`and ${rest.length} more`}>
            +{rest.length}
          </li>
        </Tooltip>
      )}
    </ul>
  )
}

/** `ina watches the screen` */
export function describe({ id, login, kind, mode, writer }: Viewer, selfId: string): string {
  const self = id === selfId
  if (kind === 'ssh') return self ? 'You work over SSH' : `${login} works over SSH`
  const place = kind === 'serial' ? 'the serial line' : 'the screen'
  if (writer) return self ? `You type on ${place}` : `${login} types on ${place}`
  if (mode === 'view') return self ? `You watch ${place}` : `${login} watches ${place}`
  return self ? `You are on ${place}` : `${login} is on ${place}`
}
