import { UnstyledButton } from '@mantine/core'
import { IconChecklist } from '@tabler/icons-react'
import { useOperations } from '../api/operations.js'
import classes from './TasksButton.module.css'

const RADIUS = 7
const LENGTH = 2 * Math.PI * RADIUS

/** Running tasks: how many, and how far they are. */
export function TasksButton({ open, onClick }: { open: boolean; onClick: () => void }) {
  const operations = useOperations()
  const running = operations.data?.filter((operation) => operation.state === 'running') ?? []
  const known = running.flatMap(({ progress }) => (progress === null ? [] : [progress]))
  const progress = known.length > 0 ? known.reduce((sum, one) => sum + one, 0) / known.length : null
  const label = running.length === 0 ? 'Tasks' : `Tasks, ${running.length} running`
  return (
    <UnstyledButton className={classes['tasks']} onClick={onClick} aria-pressed={open} aria-label={label}>
      {running.length === 0 ? (
        <IconChecklist size={17} stroke={1.6} aria-hidden />
      ) : (
        <svg viewBox="0 0 18 18" width="17" height="17" aria-hidden="true">
          <circle cx="9" cy="9" r={RADIUS} className={classes['track']} />
          <circle
            cx="9"
            cy="9"
            r={RADIUS}
            className={classes['ring']}
            data-unknown={progress === null || undefined}
            strokeDasharray={`${LENGTH * Math.max(progress ?? 0.25, 0.02)} ${LENGTH}`}
          />
        </svg>
      )}
      <span className={classes['word']}>{running.length === 0 ? 'Tasks' : running.length}</span>
    </UnstyledButton>
  )
}
