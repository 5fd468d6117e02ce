import type { Operation } from '@domain/operation.js'
import { ProgressBar } from '../components/ProgressBar.js'
import { byteWords, itemWords, progressOf } from './facts.js'
import classes from './OperationProgress.module.css'
import { usePace } from './use-pace.js'

/** How far a running operation is, how fast, and how long it still takes. */
export function OperationProgress({ operation }: { operation: Operation }) {
  const pace = usePace(operation)
  const progress = progressOf(operation)
  const percent = progress === null ? null : `${Math.round(progress * 100)} %`
  const facts = [percent, itemWords(operation.items), byteWords(operation), pace.rate, pace.left].filter(Boolean)
  return (
    <div className={classes['progress']}>
      <ProgressBar label={operation.title} progress={progress} text={facts.join(', ') || operation.step} />
      <p className={classes['facts']}>
        <span>{operation.step}</span>
        <span>{facts.join(' · ')}</span>
      </p>
    </div>
  )
}
