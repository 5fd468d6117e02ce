import type { Operation } from '@domain/operation.js'
import { formatDuration } from '@domain/units.js'
import { Mark } from '../../components/Mark.js'
import { Words } from '../../components/Words.js'
import { type Step, stepsOf } from '../../operations/facts.js'
import { clockTime, exactTime } from '../../util/time.js'
import classes from './OperationPage.module.css'

/** The steps in order, when each began and how long it took. */
export function OperationSteps({ operation }: { operation: Operation }) {
  const steps = stepsOf(operation)
  const failed = operation.error !== null
  return (
    <section className={classes['section']}>
      <header>
        <h2>Steps</h2>
      </header>
      {steps.length === 0 && <p className={classes['soft']}>None were noted: it was done in one.</p>}
      <ol className={classes['steps']}>
        {steps.map((step, index) => (
          <li key={`${step.at}-${index}`}>
            <StepMark step={step} failed={failed && index === steps.length - 1} />
            <span className={classes['text']}>
              <Words>{step.text}</Words>
            </span>
            <span className={classes['took']}>{step.tookMs === null ? '' : formatDuration(step.tookMs)}</span>
            <time dateTime={step.at} title={exactTime(step.at)}>
              {clockTime(step.at)}
            </time>
          </li>
        ))}
      </ol>
    </section>
  )
}

function StepMark({ step, failed }: { step: Step; failed: boolean }) {
  if (step.tookMs === null) return <Mark shape="half" tone="boot" turning />
  return failed ? <Mark shape="cross" tone="bad" /> : <Mark shape="dot" tone="run" />
}
