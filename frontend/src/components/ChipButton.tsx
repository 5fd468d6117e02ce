import { UnstyledButton } from '@mantine/core'
import type { ReactNode } from 'react'
import classes from './ChipButton.module.css'

/** A filter that is on or off. */
export function ChipButton({
  pressed,
  count,
  onClick,
  children,
}: {
  pressed: boolean
  count?: number
  onClick: () => void
  children: ReactNode
}) {
  return (
    <UnstyledButton className={classes['chip']} aria-pressed={pressed} onClick={onClick}>
      {children}
      {count !== undefined && <span className={classes['count']}>{count}</span>}
    </UnstyledButton>
  )
}
