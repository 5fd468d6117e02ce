import { IconX } from '@tabler/icons-react'
import { useOperations } from '../api/operations.js'
import { IconAction } from '../components/ActionButton.js'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { TaskRow } from './TaskRow.js'
import classes from './TasksDrawer.module.css'

/** Every long task, newest first. Read from the server, so that a reload shows the same. */
export function TasksDrawer({ onClose }: { onClose: () => void }) {
  const operations = useOperations()
  const running = operations.data?.filter((operation) => operation.state === 'running').length ?? 0
  return (
    <section className={classes['drawer']} aria-label="Tasks">
      <header className={classes['header']}>
        <h2>Tasks</h2>
        <span className={classes['count']}>{running === 0 ? 'none running' : `${running} running`}</span>
        <IconAction label="Hide tasks" size={26} className={classes['close'] ?? ''} onClick={onClose}>
          <IconX size={15} />
        </IconAction>
      </header>
      <div className={classes['body']}>
        {operations.isError && <ErrorNotice what="The tasks could not be read" error={operations.error} />}
        {operations.data?.length === 0 && (
          <p className={classes['empty']}>Builds, downloads and imports show here with their progress.</p>
        )}
        <ul>
          {operations.data?.map((operation) => (
            <TaskRow key={operation.id} operation={operation} />
          ))}
        </ul>
      </div>
    </section>
  )
}
