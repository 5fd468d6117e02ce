import type { NodeView } from '@domain/node.js'
import { Tooltip } from '@mantine/core'
import { IconPlayerPlay } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { useNow } from '../util/use-now.js'
import { whereItStands } from '../util/where-it-stands.js'
import { BarButton } from './BarButton.js'
import classes from './ConsolePane.module.css'
import type { ConnectionState } from './connection.js'
import { Countdown } from './Countdown.js'

interface Props {
  node: NodeView
  /** Why there is no such console of this node at all. */
  refusal?: string | null
  connection: ConnectionState
  startPending: boolean
  onStart: () => void
  onRetry: () => void
  onSignIn: () => void
}

/** What is said in the middle of a console that is not live. Nothing over a live one. */
export function Veil(props: Props) {
  const { node, connection, refusal } = props
  if (refusal) {
    return (
      <Middle>
        <span className={classes['what']}>There is no SSH console of {node.name}</span>
        <span className={classes['detail']}>{refusal}</span>
      </Middle>
    )
  }
  if (node.actions.console !== null) {
    return (
      <Middle>
        <NotRunning {...props} />
      </Middle>
    )
  }
  if (connection.phase === 'live') return null
  if (connection.phase === 'waiting') return <Waiting node={node} connection={connection} onRetry={props.onRetry} />
  if (connection.phase === 'ended') return <Ended {...props} connection={connection} />
  return (
    <div className={classes['veil']}>
      <span className={classes['connecting']}>
        {node.status === 'starting' ? `${node.name} is starting …` : `Connecting to ${node.name} …`}
      </span>
    </div>
  )
}

type In<Phase extends ConnectionState['phase']> = Extract<ConnectionState, { phase: Phase }>

function Waiting({ node, connection, onRetry }: Pick<Props, 'node' | 'onRetry'> & { connection: In<'waiting'> }) {
  return (
    <Middle>
      <span className={classes['what']}>
        {node.status === 'starting' ? `${node.name} is starting` : connection.reason}
      </span>
      <span className={classes['detail']}>
        <Countdown key={connection.retryAtMs} until={connection.retryAtMs} />
      </span>
      <BarButton label="Do not wait any longer" wide urgent onClick={onRetry}>
        Try now
      </BarButton>
    </Middle>
  )
}

function Ended({ connection, onRetry, onSignIn }: Pick<Props, 'onRetry' | 'onSignIn'> & { connection: In<'ended'> }) {
  if (connection.next === 'again') {
    return (
      <Middle low>
        <span className={classes['what']}>{connection.reason}</span>
        <BarButton label="Connect once more" wide urgent onClick={onRetry}>
          Open a new one
        </BarButton>
      </Middle>
    )
  }
  return (
    <Middle>
      <span className={classes['what']}>{connection.reason}</span>
      {connection.next === 'sign-in' && (
        <BarButton label="Sign in and come back" wide urgent onClick={onSignIn}>
          Sign in
        </BarButton>
      )}
      {(connection.next === 'retry' || connection.next === 'start') && (
        <BarButton label="Connect again" wide urgent onClick={onRetry}>
          Try again
        </BarButton>
      )}
    </Middle>
  )
}

/** `low`: what is under it is to be read. */
function Middle({ children, low = false }: { children: ReactNode; low?: boolean }) {
  return (
    <div className={classes['veil']} {...(low ? { style: { placeContent: 'end center' } } : {})}>
      <output className={classes['notice']}>{children}</output>
    </div>
  )
}

function NotRunning({ node, startPending, onStart }: Props) {
  const now = Math.max(useNow(), Date.parse(node.lastExit?.at ?? node.createdAt)) // never in the future
  const reason = startPending ? null : node.actions.start
  const button = (
    <button
      type="button"
      className={classes['start']}
      aria-disabled={startPending || reason !== null || undefined}
      onClick={startPending || reason !== null ? undefined : onStart}
    >
      <IconPlayerPlay size={15} aria-hidden />
      {startPending ? 'Starting …' : `${node.status === 'suspended' ? 'Resume' : 'Start'} ${node.name}`}
    </button>
  )
  return (
    <>
      <span className={classes['what']}>{whereItStands(node, now)}</span>
      {node.status === 'crashed' && node.lastExit && <span className={classes['detail']}>{node.lastExit.reason}</span>}
      {reason === null ? button : <Tooltip label={reason}>{button}</Tooltip>}
      {reason !== null && <span className={classes['detail']}>{reason}</span>}
    </>
  )
}
