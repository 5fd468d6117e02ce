import { Tooltip } from '@mantine/core'
import classes from './RecordingSign.module.css'
import type { RecordingState } from './recording-sign.js'

const WHAT = 'What this console shows is recorded. What you type is not. Instructors and administrators may replay it.'

/** Red, and in words: nobody is recorded without seeing it. */
export function RecordingSign({ state }: { state: RecordingState | null }) {
  if (!state || (!state.isOn && state.reason === null)) return null
  return (
    <Tooltip label={state.isOn ? WHAT : `Not recorded any more: ${state.reason}.`} multiline w={300}>
      <output className={classes['sign']} data-off={!state.isOn || undefined}>
        <span className={classes['dot']} aria-hidden />
        {state.isOn ? 'Recorded' : 'Recording stopped'}
        <span className="visually-hidden">. {state.isOn ? WHAT : state.reason}</span>
      </output>
    </Tooltip>
  )
}
