import type { Operation } from '@domain/operation.js'
import { Mark } from '../components/Mark.js'
import { OPERATION_STATES } from './faces.js'
import { OUTCOME_WORDS } from './facts.js'
import classes from './OutcomeMark.module.css'

/** How it stands, and whether it is whole or taken back. */
export function OutcomeMark({ operation }: { operation: Pick<Operation, 'state' | 'outcome'> }) {
  const { word, tone, shape } = OPERATION_STATES[operation.state]
  return (
    <span className={classes['mark']}>
      <Mark shape={shape} tone={tone} turning={operation.state === 'running'} />
      <span data-tone={tone} className={classes['word']}>
        {word}
      </span>
      {operation.outcome && (
        <span className={classes['outcome']}>{OUTCOME_WORDS[operation.outcome].toLowerCase()}</span>
      )}
    </span>
  )
}
