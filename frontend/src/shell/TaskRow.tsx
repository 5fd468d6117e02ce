import type { Operation } from '@domain/operation.js'
import { UnstyledButton } from '@mantine/core'
import { IconChevronRight } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { useMay } from '../api/current-user.js'
import { Mark } from '../components/Mark.js'
import { RelativeTime } from '../components/RelativeTime.js'
import { Words } from '../components/Words.js'
import { CancelOperation } from '../operations/CancelOperation.js'
import { OPERATION_STATES } from '../operations/faces.js'
import { endingWords, tookWords } from '../operations/facts.js'
import { OperationItems } from '../operations/OperationItems.js'
import { OperationProgress } from '../operations/OperationProgress.js'
import { PasswordsButton } from '../operations/PasswordsButton.js'
import { mayBeUndone } from '../operations/undo.js'
import { UndoButton } from '../operations/UndoButton.js'
import { clockTime } from '../util/time.js'
import { useNow } from '../util/use-now.js'
import classes from './TaskRow.module.css'

/** One task: what, by whom, how far, how fast, how long still; its items and its log on demand. */
export function TaskRow({ operation }: { operation: Operation }) {
  const [open, setOpen] = useState(false)
  const { word, tone, shape } = OPERATION_STATES[operation.state]
  const running = operation.state === 'running'
  return (
    <li className={classes['task']}>
      <div className={classes['line']}>
        <UnstyledButton className={classes['what']} aria-expanded={open} onClick={() => setOpen(!open)}>
          <IconChevronRight size={14} className={classes['chevron']} aria-hidden />
          <Mark shape={shape} tone={tone} turning={running} />
          <span className={classes['title']}>{operation.title}</span>
          {!running && <span className={classes['state']}>{word}</span>}
        </UnstyledButton>
        {running ? (
          <OperationProgress operation={operation} />
        ) : (
          <p className={classes['step']}>
            <Words>{endingWords(operation)}</Words>
          </p>
        )}
        <span className={classes['who']}>
          {operation.actorLogin}, <RelativeTime at={operation.startedAt} />
        </span>
        <span className={classes['end']}>
          {running ? <CancelOperation operation={operation} /> : <Made operation={operation} />}
        </span>
      </div>
      {open && <Details operation={operation} />}
    </li>
  )
}

/** The way to what it made. */
function Made({ operation }: { operation: Operation }) {
  const { kind, state, target, items } = operation
  if (mayBeUndone(operation)) return <UndoButton operation={operation} size="xs" />
  if (kind === 'node.testBoot' || kind === 'storage.verify') return <Report operation={operation} />
  if (items.length > 1) return <PasswordsButton operation={operation} />
  if (state !== 'succeeded' || kind.endsWith('.delete')) return null
  const made = items[0]?.id ?? target?.id
  if (!made || kind === 'node.send') return null // what it made is elsewhere
  return target?.type === 'image' ? (
    <Link to="/nodes" search={{ new: made }}>
      Create a node
    </Link>
  ) : (
    <Link to="/nodes/$nodeId" params={{ nodeId: made }}>
      Open the node
    </Link>
  )
}

/** Where what it found is told, also when it failed. */
function Report({ operation: { kind, id, state } }: { operation: Operation }) {
  const storage = useMay()('storage.read')
  if (kind === 'node.testBoot' && state !== 'cancelled') {
    return (
      <Link to="/operations/$operationId" params={{ operationId: id }}>
        See the report
      </Link>
    )
  }
  if (kind !== 'storage.verify' || state !== 'succeeded' || !storage) return null
  return (
    <Link to="/storage" search={{ tab: 'verify' }}>
      See the report
    </Link>
  )
}

function Details({ operation }: { operation: Operation }) {
  return (
    <div className={classes['details']}>
      {operation.items.length > 1 && (
        <div className={classes['items']}>
          <OperationItems operation={operation} />
        </div>
      )}
      <div className={classes['log']}>
        {operation.log.length === 0 && <p>No lines in its log{operation.state === 'running' ? ' yet' : ''}.</p>}
        {operation.log.map((line, index) => (
          <p key={`${line.at}-${index}`}>
            <time dateTime={line.at}>{clockTime(line.at)}</time> {line.text}
          </p>
        ))}
        {operation.error && (
          <p className={classes['error']}>
            {operation.error.message} {operation.error.hint} ({operation.error.code})
          </p>
        )}
        <Duration operation={operation} />
      </div>
      <Link to="/operations/$operationId" params={{ operationId: operation.id }} className={classes['more']}>
        Everything about this operation
      </Link>
    </div>
  )
}

function Duration({ operation }: { operation: Operation }) {
  const took = tookWords(operation, useNow())
  return <p className={classes['took']}>{operation.endedAt ? `Took ${took}` : `Running for ${took}`}</p>
}
