import { IconX } from '@tabler/icons-react'
import { Link } from '@tanstack/react-router'
import { useOperations } from '../api/operations.js'
import { IconAction } from '../components/ActionButton.js'
import { ErrorNotice } from '../components/ErrorNotice.js'
import { TaskRow } from './TaskRow.js'
import classes from './TasksDrawer.module.css'

const SHOWN = 30

/** Long tasks: those that run and the newest that ended. Read from the server, so that a reload shows the same. */
export function TasksDrawer({ onClose }: { onClose: () => void }) {
  const operations = useOperations()
  const all = operations.data ?? []
  const running = all.filter((operation) => operation.state === 'running').length
  const shown = all.filter((operation, index) => operation.state === 'running' || index < SHOWN)
  return (
    <section className={classes['drawer']} aria-label="Tasks">
      <header className={classes['header']}>
        <h2>Tasks</h2>
        <span className={classes['count']}>{running === 0 ? 'none running' : `${running} running`}</span>
        <Link to="/operations" className={classes['all']}>
          All operations
        </Link>
        <IconAction label="Hide tasks" size={26} onClick={onClose}>
          <IconX size={15} />
        </IconAction>
      </header>
      <div className={classes['body']}>
        {operations.isError && <ErrorNotice what="The tasks could not be read" error={operations.error} />}
        {operations.data?.length === 0 && (
          <p className={classes['empty']}>Clones, new nodes, builds and downloads show here with their progress.</p>
        )}
        <ul>
          {shown.map((operation) => (
            <TaskRow key={operation.id} operation={operation} />
          ))}
        </ul>
      </div>
    </section>
  )
}
