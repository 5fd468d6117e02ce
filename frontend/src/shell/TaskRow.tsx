import type { Operation } from '@domain/operation.js'
import { UnstyledButton } from '@mantine/core'
import { IconChevronRight } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { useCancelOperation } from '../api/operations.js'
import { ActionButton } from '../components/ActionButton.js'
import { Mark } from '../components/Mark.js'
import type { Shape, Tone } from '../components/node-status.js'
import { ProgressBar } from '../components/ProgressBar.js'
import { RelativeTime } from '../components/RelativeTime.js'
import { toastError } from '../components/toast.js'
import { Words } from '../components/Words.js'
import { formatSize } from '../util/size.js'
import { clockTime, elapsed } from '../util/time.js'
import { useNow } from '../util/use-now.js'
import classes from './TaskRow.module.css'
import { usePace } from './use-pace.js'

const STATES: Record<Operation['state'], { word: string; tone: Tone; shape: Shape }> = {
  running: { word: 'Running', tone: 'boot', shape: 'half' },
  succeeded: { word: 'Done', tone: 'run', shape: 'dot' },
  failed: { word: 'Failed', tone: 'bad', shape: 'cross' },
  cancelled: { word: 'Cancelled', tone: 'off', shape: 'ring' },
  lost: { word: 'Lost', tone: 'warn', shape: 'triangle' },
}

/** One task: what, by whom, how far, how fast, how long still; its log on demand. */
export function TaskRow({ operation }: { operation: Operation }) {
  const [open, setOpen] = useState(false)
  const state = STATES[operation.state]
  const running = operation.state === 'running'
  return (
    <li className={classes['task']}>
      <div className={classes['line']}>
        <UnstyledButton className={classes['what']} aria-expanded={open} onClick={() => setOpen(!open)}>
          <IconChevronRight size={14} className={classes['chevron']} aria-hidden />
          <Mark shape={state.shape} tone={state.tone} turning={running} />
          <span className={classes['title']}>{operation.title}</span>
          {!running && <span className={classes['state']}>{state.word}</span>}
        </UnstyledButton>
        {running ? (
          <Progress operation={operation} />
        ) : (
          <p className={classes['step']}>
            <Words>{ending(operation)}</Words>
          </p>
        )}
        <span className={classes['who']}>
          {operation.actorLogin}, <RelativeTime at={operation.startedAt} />
        </span>
        <span className={classes['end']}>
          {running ? <Cancel operation={operation} /> : <Made operation={operation} />}
        </span>
      </div>
      {open && <Log operation={operation} />}
    </li>
  )
}

function Progress({ operation }: { operation: Operation }) {
  const pace = usePace(operation)
  const percent = operation.progress === null ? null : Math.round(operation.progress * 100)
  const bytes =
    operation.bytesDone === null
      ? null
      : `${formatSize(operation.bytesDone)}${operation.bytesTotal === null ? '' : ` of ${formatSize(operation.bytesTotal)}`}`
  const facts = [percent === null ? null : `${percent} %`, bytes, pace.rate, pace.left].filter(Boolean)
  return (
    <div className={classes['progress']}>
      <ProgressBar label={operation.title} progress={operation.progress} text={facts.join(', ') || operation.step} />
      <p className={classes['facts']}>
        <span>{operation.step}</span>
        <span>{facts.join(' · ')}</span>
      </p>
    </div>
  )
}

function Cancel({ operation }: { operation: Operation }) {
  const cancel = useCancelOperation()
  return (
    <ActionButton
      size="xs"
      variant="default"
      loading={cancel.isPending}
      reason={operation.cancellable ? null : 'This step can’t be interrupted without leaving things half done.'}
      onClick={() =>
        cancel.mutate(operation.id, {
          onError: (error) => toastError(`“${operation.title}” was not cancelled`, error),
        })
      }
    >
      Cancel
    </ActionButton>
  )
}

/** The way to what it made. */
function Made({ operation }: { operation: Operation }) {
  if (operation.state !== 'succeeded' || !operation.target) return null
  return operation.target.type === 'node' ? (
    <Link to="/nodes/$nodeId" params={{ nodeId: operation.target.id }}>
      Open the node
    </Link>
  ) : (
    <Link to="/nodes" search={{ new: operation.target.id }}>
      Create a node
    </Link>
  )
}

function Log({ operation }: { operation: Operation }) {
  return (
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
  )
}

function Duration({ operation }: { operation: Operation }) {
  const now = useNow()
  const took = tookWords(operation, now)
  return <p className={classes['took']}>{operation.endedAt ? `Took ${took}` : `Running for ${took}`}</p>
}

function tookWords(operation: Operation, now: number): string {
  const end = operation.endedAt ? Date.parse(operation.endedAt) : now
  return elapsed(end - Date.parse(operation.startedAt))
}

function ending(operation: Operation): string {
  if (operation.error) return [operation.error.message, operation.error.hint].filter(Boolean).join(' ')
  if (operation.state === 'lost') return 'The server stopped in the middle of it. Look at the result before you go on.'
  if (operation.state === 'cancelled') return 'Nothing was kept.'
  return `Took ${tookWords(operation, Date.parse(operation.startedAt))}`
}
