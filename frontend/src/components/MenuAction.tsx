import { Menu } from '@mantine/core'
import type { TablerIcon } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import classes from './MenuAction.module.css'

interface Props {
  icon: TablerIcon
  /** Why not now; shown under the words. The entry stays reachable, so that the reason is read out. */
  reason?: string | null | undefined
  danger?: boolean
  onClick: () => void
  children: ReactNode
}

/** One entry of a menu of actions. */
export function MenuAction({ icon: Icon, reason, danger = false, onClick, children }: Props) {
  return (
    <Menu.Item
      {...(reason ? { 'aria-disabled': true, 'data-disabled': true, closeMenuOnClick: false } : { onClick })}
      className={classes['action']}
      data-danger={(danger && !reason) || undefined}
      leftSection={<Icon size={15} stroke={1.6} aria-hidden />}
    >
      {children}
      {reason && <span className={classes['reason']}>{reason}</span>}
    </Menu.Item>
  )
}
