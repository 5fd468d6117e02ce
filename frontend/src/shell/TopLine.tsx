import { UnstyledButton } from '@mantine/core'
import { IconSearch } from '@tabler/icons-react'
import { AccountMenu } from './AccountMenu.js'
import { Breadcrumb } from './Breadcrumb.js'
import { TasksButton } from './TasksButton.js'
import classes from './TopLine.module.css'

interface Props {
  tasksOpen: boolean
  onTasks: () => void
  onPalette: () => void
}

/** Where I am · search and commands · what is running · me. */
export function TopLine({ tasksOpen, onTasks, onPalette }: Props) {
  return (
    <header className={classes['line']}>
      <Breadcrumb />
      <div className={classes['tools']}>
        <UnstyledButton className={classes['search']} onClick={onPalette}>
          <IconSearch size={15} stroke={1.75} aria-hidden />
          <span className={classes['searchText']}>Search or run a command</span>
          <kbd className={classes['searchKey']}>Ctrl K</kbd>
        </UnstyledButton>
        <TasksButton open={tasksOpen} onClick={onTasks} />
        <AccountMenu />
      </div>
    </header>
  )
}
