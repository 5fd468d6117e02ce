import { UnstyledButton } from '@mantine/core'
import type { ReactNode } from 'react'
import classes from './LinkButton.module.css'

/** Does something small in passing and looks like a link. */
export function LinkButton({ onClick, children }: { onClick: () => void; children: ReactNode }) {
  return (
    <UnstyledButton className={classes['link']} onClick={onClick}>
      {children}
    </UnstyledButton>
  )
}
