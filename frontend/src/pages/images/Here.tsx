import { IconCheck } from '@tabler/icons-react'
import classes from './Images.module.css'

/** It is among the images above already. */
export function Here() {
  return (
    <span className={classes['here']}>
      <IconCheck size={14} aria-hidden />
      On this server
    </span>
  )
}
